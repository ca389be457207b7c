//go:build !linux

package history

import "time"

// Clock returns the nanoseconds of a clock that all processes of the machine share and that can't be set: on Linux
// CLOCK_MONOTONIC, elsewhere the wall clock, which can be set.
func Clock() int64 { return time.Now().UnixNano() }
