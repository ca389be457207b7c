package tiered

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Negative windows, which a loader may set, count as zero.
func TestWindowsOfAPolicy(t *testing.T) {
	p := Policy{RefreshAfter: -1, StaleWhileRevalidate: -1, StaleIfError: -1}
	if w := p.windows(); w != (wire.Windows{}) || w.Keep() != 0 {
		t.Errorf("%+v", w)
	}
	p = Policy{RefreshAfter: 3, StaleWhileRevalidate: 2, StaleIfError: 1}
	if w := p.windows(); w != (wire.Windows{RefreshAfter: 3, WhileRevalidate: 2, IfError: 1}) || w.Keep() != 2 {
		t.Errorf("%+v", w)
	}
}

// The windows that a loader sets for its value reach other processes.
func TestWindowsRoundTrip(t *testing.T) {
	c := openInside(t, Options[string]{Policy: Policy{TTL: time.Hour, RefreshAfter: time.Minute, StaleIfError: time.Minute}})
	own := wire.Windows{RefreshAfter: 2 * time.Minute, WhileRevalidate: 3 * time.Minute, IfError: 4 * time.Minute}
	for _, tc := range []struct {
		key  string
		own  *wire.Windows
		keep time.Duration
	}{{"policy's", nil, time.Minute}, {"own", &own, 4 * time.Minute}, {"none", new(wire.Windows), 0}} {
		r := recordOf("v", false, c.policy, coherence.Stamp{})
		r.Took, r.Windows = 1500*time.Millisecond, tc.own
		b, err := c.remote.encode(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		var f readResult[string]
		_ = c.remote.decode(t.Context(), &f, b, c.policy)
		switch got := f.record; {
		case got == nil:
			t.Errorf("%s: nothing", tc.key)
		case (got.Windows == nil) != (tc.own == nil) || tc.own != nil && *got.Windows != *tc.own:
			t.Errorf("%s: %+v", tc.key, got.Windows)
		case got.Took != r.Took:
			t.Errorf("%s: took %v", tc.key, got.Took)
		case got.StaleFor(c.retention) != tc.keep:
			t.Errorf("%s: kept for %v", tc.key, got.StaleFor(c.retention))
		}
	}
}
