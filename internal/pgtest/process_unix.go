//go:build unix && !linux

package pgtest

import "syscall"

// dieWithParent has no equivalent here: after a test binary was killed, its server goes on.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
