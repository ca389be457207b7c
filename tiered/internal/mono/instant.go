package mono

import "time"

// Instant is a point in time on this process's monotonic clock, as the time since the process started.
type Instant time.Duration

var processStart = time.Now()

// Now returns the present instant.
func Now() Instant { return Instant(time.Since(processStart)) }

// Add returns i + d.
func (i Instant) Add(d time.Duration) Instant { return Instant(Sum(time.Duration(i), d)) }

// Since returns i - before.
func (i Instant) Since(before Instant) time.Duration {
	return Difference(time.Duration(i), time.Duration(before))
}
