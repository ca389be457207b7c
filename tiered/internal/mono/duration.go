package mono

import (
	"math"
	"time"
)

// Sum returns a + b.
func Sum(a, b time.Duration) time.Duration {
	s := a + b
	switch {
	case b > 0 && s < a:
		return math.MaxInt64
	case b < 0 && s > a:
		return math.MinInt64
	}
	return s
}

// Difference returns a - b.
func Difference(a, b time.Duration) time.Duration {
	d := a - b
	switch {
	case b < 0 && d < a:
		return math.MaxInt64
	case b > 0 && d > a:
		return math.MinInt64
	}
	return d
}

// Times returns n * d. The number n must not be negative.
func Times(n int64, d time.Duration) time.Duration {
	switch product := time.Duration(n) * d; {
	case n == 0 || product/time.Duration(n) == d:
		return product
	case d < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// Millis returns n milliseconds. The number n must not be negative.
func Millis(n int64) time.Duration { return Times(n, time.Millisecond) }

// Nanos returns n nanoseconds, and 0 if n is not a number. The language leaves open what the conversion of a float
// that is too large yields.
func Nanos(n float64) time.Duration {
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

// WholeMillis rounds d up to milliseconds: Redis counts in these, and refuses 0.
func WholeMillis(d time.Duration) time.Duration {
	whole := d.Truncate(time.Millisecond)
	if whole == d || whole > math.MaxInt64-time.Millisecond {
		return whole
	}
	return whole + time.Millisecond
}
