package history

import (
	"syscall"
	"unsafe"
)

const clockMonotonic = 1 // CLOCK_MONOTONIC

// Clock returns the nanoseconds of a clock that all processes of the machine share and that can't be set: on Linux
// CLOCK_MONOTONIC, elsewhere the wall clock, which can be set. It asks the kernel, since the runtime doesn't export its
// reading of this clock.
func Clock() int64 {
	var ts syscall.Timespec
	// It can only fail for a clock that doesn't exist.
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}
