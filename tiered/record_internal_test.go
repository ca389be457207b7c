package tiered

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// A value that was made at 0 is fresh for 100 s.
func TestUse(t *testing.T) {
	all := Policy{RefreshAfter: 50 * time.Second, StaleWhileRevalidate: 10 * time.Second, StaleIfError: 20 * time.Second}
	errorFirst := Policy{StaleWhileRevalidate: 20 * time.Second, StaleIfError: 10 * time.Second}
	with := func(t traits) record[int] {
		return record[int]{freshUntil: mono.Instant(100 * time.Second), traits: &t}
	}
	fresh, absent, expired := with(traits{}), with(traits{absent: true}), with(traits{expired: true})
	early, far := with(traits{early: 20 * time.Second}), with(traits{early: time.Hour})
	own := with(traits{windows: &wire.Windows{RefreshAfter: 10 * time.Second, WhileRevalidate: time.Second}})
	none := with(traits{windows: new(wire.Windows)})
	for _, tc := range []struct {
		name string
		r    record[int]
		p    Policy
		at   time.Duration // seconds
		want use
	}{
		{"young", fresh, all, 49, good},
		{"due", fresh, all, 50, due},
		{"still due", fresh, all, 99, due},
		{"outdated", fresh, all, 100, outdated},
		{"still outdated", fresh, all, 109, outdated},
		{"a fallback", fresh, all, 110, fallback},
		{"still a fallback", fresh, all, 119, fallback},
		{"too old", fresh, all, 120, useless},
		{"no windows", fresh, Policy{}, 99, good},
		{"no windows, stale", fresh, Policy{}, 100, useless},
		{"outdated for longer than a fallback", fresh, errorFirst, 119, outdated},
		{"too old for that", fresh, errorFirst, 120, useless},
		{"due early", early, all, 30, due},
		{"not yet", early, all, 29, good},
		{"never before half of it", far, all, 24, good},
		{"from half of it on", far, all, 25, due},
		{"early without RefreshAfter", far, errorFirst, 99, good},
		{"absent", absent, all, 99, good},
		{"absent, stale", absent, all, 100, useless},
		{"expired before its time", expired, all, 1, fallback},
		{"expired, and in its time isn't outdated", expired, all, 100, fallback},
		{"expired, too old", expired, all, 120, useless},
		{"expired without StaleIfError", expired, Policy{StaleWhileRevalidate: time.Hour}, 1, useless},
		{"its own RefreshAfter", own, Policy{}, 10, due},
		{"its own StaleWhileRevalidate", own, Policy{}, 100, outdated},
		{"its own StaleIfError, of which it has none", own, all, 101, useless},
		{"no windows of its own, young", none, all, 99, good},
		{"no windows of its own, stale", none, all, 100, useless},
	} {
		w := tc.p.windows()
		if got := tc.r.use(&w, mono.Instant(tc.at*time.Second)); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

// Negative windows, which a loader may set, are none.
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

// A value is drawn to be refreshed the earlier the longer its load takes, and at different ages if it was set.
func TestDrawEarly(t *testing.T) {
	p := Policy{TTL: time.Hour, RefreshAfter: 1000 * time.Second, Jitter: 0.1}
	const draws = 10_000
	var least, most, sum time.Duration = time.Hour, 0, 0
	for range draws {
		r := recordOf(0, false, p, coherence.Stamp{})
		least, most = min(least, r.early), max(most, r.early)
		r.took = 100 * time.Second
		w := p.windows()
		r.drawEarly(&w, p.Jitter)
		sum += r.early
	}
	if least < 0 || least > 10*time.Second || most > 100*time.Second || most < 90*time.Second {
		t.Errorf("what is set is early by %v to %v", least, most)
	}
	if mean := sum / draws; mean < 145*time.Second || mean > 155*time.Second { // 100 s, and half of the 100 s of jitter
		t.Errorf("what took 100 s is early by %v in the mean", mean)
	}
	p.RefreshAfter = 0
	if r := recordOf(0, false, p, coherence.Stamp{}); r.early != 0 {
		t.Errorf("without RefreshAfter: %v", r.early)
	}
}

// What a loader says of its value's windows reaches another process.
func TestWindowsRoundTrip(t *testing.T) {
	c := openInside(t, Options[string]{Policy: Policy{TTL: time.Hour, RefreshAfter: time.Minute, StaleIfError: time.Minute}})
	own := wire.Windows{RefreshAfter: 2 * time.Minute, WhileRevalidate: 3 * time.Minute, IfError: 4 * time.Minute}
	for _, tc := range []struct {
		key  string
		own  *wire.Windows
		keep time.Duration
	}{{"policy's", nil, time.Minute}, {"own", &own, 4 * time.Minute}, {"none", new(wire.Windows), 0}} {
		r := recordOf("v", false, c.policy, coherence.Stamp{})
		r.took, r.windows = 1500*time.Millisecond, tc.own
		b, err := c.remote.encode(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		var f finding[string]
		_ = c.remote.decode(t.Context(), &f, b, c.policy)
		switch got := f.record; {
		case got == nil:
			t.Errorf("%s: nothing", tc.key)
		case (got.windows == nil) != (tc.own == nil) || tc.own != nil && *got.windows != *tc.own:
			t.Errorf("%s: %+v", tc.key, got.windows)
		case got.took != r.took:
			t.Errorf("%s: took %v", tc.key, got.took)
		case c.local.keeps(got) != tc.keep:
			t.Errorf("%s: kept for %v", tc.key, c.local.keeps(got))
		}
	}
}
