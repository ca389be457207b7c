package mono_test

import (
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const year = 365 * 24 * time.Hour

var edges = []time.Duration{
	math.MinInt64, math.MinInt64 + 1, -200 * year, -1, 0, 1, time.Millisecond, time.Hour, 100 * year, 146 * year, 292 * year,
	math.MaxInt64 - 1, math.MaxInt64,
}

// stopped is the nearest duration.
func stopped(n *big.Int) time.Duration {
	switch {
	case n.IsInt64():
		return time.Duration(n.Int64())
	case n.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

func TestDurations(t *testing.T) {
	of := func(d time.Duration) *big.Int { return big.NewInt(int64(d)) }
	is := func(what string, got, want time.Duration) {
		if got != want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	for _, a := range edges {
		for _, b := range edges {
			is(fmt.Sprint(a, " + ", b), mono.Sum(a, b), stopped(new(big.Int).Add(of(a), of(b))))
			is(fmt.Sprint(a, " - ", b), mono.Difference(a, b), stopped(new(big.Int).Sub(of(a), of(b))))
			is(fmt.Sprint(a, " since ", b), mono.Instant(a).Since(mono.Instant(b)), mono.Difference(a, b))
			is(fmt.Sprint(a, " after ", b), time.Duration(mono.Instant(a).Add(b)), mono.Sum(a, b))
			if a >= 0 {
				is(fmt.Sprint(int64(a), " * ", b), mono.Times(int64(a), b), stopped(new(big.Int).Mul(of(a), of(b))))
			}
		}
		if a >= 0 {
			is(fmt.Sprint(int64(a), " ms"), mono.Millis(int64(a)), stopped(new(big.Int).Mul(of(a), of(time.Millisecond))))
			if whole := mono.WholeMillis(a); whole < a.Truncate(time.Millisecond) || whole%time.Millisecond != 0 || whole-a >= time.Millisecond {
				t.Errorf("%v in whole milliseconds is %v", a, whole)
			}
		}
	}
	for n, want := range map[float64]time.Duration{
		1.9: 1, -1: -1, math.MaxInt64: math.MaxInt64, 1e30: math.MaxInt64, math.Inf(1): math.MaxInt64,
		-1e30: math.MinInt64, math.Inf(-1): math.MinInt64,
	} {
		is(fmt.Sprint(n), mono.Nanos(n), want)
	}
	is("no number", mono.Nanos(math.NaN()), 0)
}
