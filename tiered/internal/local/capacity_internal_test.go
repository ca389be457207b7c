package local

import "testing"

// The number of counters fills the memory that ristretto allocates for them, and stays within its limits.
func TestCounters(t *testing.T) {
	const million = 1_000_000
	for _, tc := range []struct {
		maxCost, least, most int64
		costed               bool
	}{
		{1, 1_000, 1_100, false},
		{1_000, 40_000, 60_000, false},
		{10_000, 400_000, 450_000, false},
		{100_000, 1_700_000, 1_750_000, false},
		{million, 8 * million, 1 << 23, false},
		{100 * million, 13_900_000, 14_000_000, false},
		{1<<63 - 1, 13_900_000, 14_000_000, false},
		{1, 1_000, 1_100, true},
		{1<<63 - 1, million, 1 << 20, true},
	} {
		if n := countersFor(tc.maxCost, tc.costed); n < tc.least || n > tc.most {
			t.Errorf("%d counters for %d: want %d to %d", n, tc.maxCost, tc.least, tc.most)
		}
	}
}
