package remote

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

const year = 365 * 24 * time.Hour

// The times of a value that is kept forever don't overflow.
func TestTimesForEver(t *testing.T) {
	created := time.UnixMilli(1_700_000_000_000)
	for _, freshFor := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1, 292 * year, 250 * year} {
		for _, jitter := range []float64{-1, 0.05, 0.999} {
			name := fmt.Sprint(freshFor, " ", jitter)
			f := wire.Frame{Codec: "json", Created: created, FreshFor: freshFor, Took: math.MaxInt64}
			v := record.Policy{TTL: freshFor, Jitter: jitter, Windows: wire.Windows{RefreshAfter: freshFor - 1, WhileRevalidate: freshFor, IfError: freshFor}}
			for _, start := range []mono.Instant{0, mono.Instant(-26 * year), mono.Instant(26 * year)} {
				for _, d := range []time.Duration{-100 * year, 0, 24 * time.Hour, 30 * 24 * time.Hour} {
					made, until := times(&f, start, created.Add(d))
					if age := max(0, d); start.Since(made) != age || until < start.Add(190*year) || until < made {
						t.Errorf("%s: at %v, after %v: made %v, fresh until %v", name, time.Duration(start), d, time.Duration(made), time.Duration(until))
					}
				}
			}
			if m := meta(&f, &v); m.Early < 0 {
				t.Errorf("%s: refreshed %v earlier", name, m.Early)
			}
		}
	}
}

// A value may be a part of its reply if it is nearly all of it: a small one would keep a header in memory that is as long, and one of
// several releases the values of the others.
func TestMayKeep(t *testing.T) {
	for _, c := range []struct {
		payload, reply int
		want           bool
	}{{0, 0, true}, {100, 100, true}, {100, 180, false}, {10_000, 10_080, true}, {10_000, 20_160, false}, {1 << 20, 1<<20 + 1<<16, true}} {
		if mayKeep(make([]byte, c.payload), make([]byte, c.reply)) != c.want {
			t.Errorf("%d of %d bytes: got %v", c.payload, c.reply, !c.want)
		}
	}
}
