//go:build !windows && !linux

package redistest

import (
	"bytes"
	"os/exec"
	"strconv"
	"syscall"
)

// dieWithParent does nothing here: a server outlives a killed test binary.
func dieWithParent() *syscall.SysProcAttr { return nil }

// stopped reports whether a signal has stopped the process.
func stopped(pid int) bool {
	state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && bytes.HasPrefix(bytes.TrimSpace(state), []byte("T"))
}
