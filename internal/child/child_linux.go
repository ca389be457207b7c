package child

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// signalAtDeath makes the kernel send the signal when the parent dies without running its cleanups.
func signalAtDeath(a *syscall.SysProcAttr, s syscall.Signal) { a.Pdeathsig = s }

// Stopped reports whether a signal has stopped the process: state T, the field after the name in parentheses.
func Stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	return bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" T"))
}
