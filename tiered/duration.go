package tiered

import (
	"math"
	"time"
)

// A policy's durations may be as long as a Duration can be, and Redis may say more. So whatever is calculated with them stops
// at the longest and at the shortest Duration, 292 years, in place of wrapping around.

func sum(a, b time.Duration) time.Duration {
	s := a + b
	switch {
	case b > 0 && s < a:
		return math.MaxInt64
	case b < 0 && s > a:
		return math.MinInt64
	}
	return s
}

func difference(a, b time.Duration) time.Duration {
	d := a - b
	switch {
	case b < 0 && d < a:
		return math.MaxInt64
	case b > 0 && d > a:
		return math.MinInt64
	}
	return d
}

// times returns d n times; n isn't negative.
func times(n int64, d time.Duration) time.Duration {
	switch product := time.Duration(n) * d; {
	case n == 0 || product/time.Duration(n) == d:
		return product
	case d < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// millis is the duration of so many milliseconds, which aren't fewer than 0.
func millis(n int64) time.Duration { return times(n, time.Millisecond) }

// nanos is the duration of so many nanoseconds; 0 for what is no number. Go doesn't say what becomes of a float that is too
// large when it is converted.
func nanos(n float64) time.Duration {
	switch {
	case n >= math.MaxInt64:
		return math.MaxInt64
	case n <= math.MinInt64:
		return math.MinInt64
	case n != n:
		return 0
	}
	return time.Duration(n)
}

// wholeMillis rounds up, since Redis counts in milliseconds and refuses 0.
func wholeMillis(d time.Duration) time.Duration {
	whole := d.Truncate(time.Millisecond)
	if whole == d || whole > math.MaxInt64-time.Millisecond {
		return whole
	}
	return whole + time.Millisecond
}

// instant is a moment on this process's monotonic clock: freshness never depends on the wall clock being set.
type instant time.Duration

var processStart = time.Now()

func now() instant { return instant(time.Since(processStart)) }

// add stops at the ends of time: a TTL may be as good as for ever.
func (i instant) add(d time.Duration) instant { return instant(sum(time.Duration(i), d)) }

// since stops at the longest and the shortest duration.
func (i instant) since(before instant) time.Duration {
	return difference(time.Duration(i), time.Duration(before))
}
