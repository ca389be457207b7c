//go:build !windows && !linux

package chaos

import "syscall"

// dieWithParent has no equivalent here: a worker ends when its standard input does, unless it is frozen.
func dieWithParent() *syscall.SysProcAttr { return nil }

// stopped takes the signal's word for it.
func stopped(int) bool { return true }
