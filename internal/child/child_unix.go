//go:build !windows && !linux

package child

import (
	"bytes"
	"os/exec"
	"strconv"
	"syscall"
)

// signalAtDeath does nothing here: a process outlives a killed test binary.
func signalAtDeath(*syscall.SysProcAttr, syscall.Signal) {}

// Stopped reports whether a signal has stopped the process.
func Stopped(pid int) bool {
	state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && bytes.HasPrefix(bytes.TrimSpace(state), []byte("T"))
}
