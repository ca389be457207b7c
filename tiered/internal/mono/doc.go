// Package mono is the clock by which the cache measures ages and deadlines, arithmetic on durations that can't overflow, and
// waits. It knows nothing of caches, and imports only the standard library.
//
// # Instants
//
// An [Instant] is a time on this process's monotonic clock: how long after the start of the process. The freshness of a value
// doesn't change when the wall clock is set. An Instant has 8 bytes, so an atomic integer can hold it: the end of a validity or
// of an item is read and changed without a lock.
//
// An Instant means nothing to another process. Frames in Redis have times of Redis's clock instead, and package remote converts
// them. (A canary's name has an Instant, but only the process that sent the canary reads it.) The zero Instant need not be in
// the past: the clock of a test under testing/synctest begins in the year 2000, and all its instants are negative.
//
// Functions that decide about a hit get the instant as a parameter. Reading the clock takes longer than the comparisons, and
// one reading must decide about both the age and the validity of a value.
//
// # Durations
//
// A policy's durations may be as long as a time.Duration can be, where Go's operators wrap around. (Once a value with a tag and
// such a TTL was lost after a day.) The functions of this package stop at the longest and the shortest Duration, 292 years.
// Times and Millis, and Jitter, must not get a negative number.
//
// # The files
//
//   - duration.go: sums, differences, products, conversions from numbers, and whole milliseconds for Redis.
//   - instant.go: the clock. It uses duration.go.
//   - wait.go: a sleep that a context or a channel ends early, and random pauses.
//
// # Invariants
//
//   - No function returns a result of the wrong sign because the right one is too large.
//   - WholeMillis of a positive duration is positive, since Redis refuses an expiry of 0.
//   - Sleep waits with a time.Timer and no other clock, so that synctest controls it.
package mono
