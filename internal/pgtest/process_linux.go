package pgtest

import "syscall"

// dieWithParent makes the kernel end the server when the test binary dies without running its cleanups.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT} }
