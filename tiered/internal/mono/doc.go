// Package mono is the clock that the cache measures ages and deadlines with, and arithmetic on durations that can't
// overflow, and waits.
//
// An [Instant] comes from the monotonic clock. The freshness of a value doesn't change when the wall clock is set.
//
// A policy's durations may be as long as a time.Duration can be, and frames in Redis may say more. All arithmetic of this
// package stops at the longest and the shortest Duration, 292 years, where Go's operators wrap around.
package mono
