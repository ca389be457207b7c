package history

import (
	"syscall"
	"unsafe"
)

const clockMonotonic = 1 // CLOCK_MONOTONIC

// Clock returns nanoseconds of a clock that all processes of the machine share and that nobody sets: on Linux
// CLOCK_MONOTONIC, elsewhere the wall clock, which somebody may. It asks the kernel, since the runtime keeps what it
// knows of this clock to itself.
func Clock() int64 {
	var ts syscall.Timespec
	// It can only fail for a clock that doesn't exist.
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}
