package tiered

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// A value that was made at 0 is fresh for 100 s.
func TestUse(t *testing.T) {
	all := Policy{RefreshAfter: 50 * time.Second, StaleWhileRevalidate: 10 * time.Second, StaleIfError: 20 * time.Second}
	errorFirst := Policy{StaleWhileRevalidate: 20 * time.Second, StaleIfError: 10 * time.Second}
	with := func(t record.Meta) record.Record[int] {
		return record.Record[int]{FreshUntil: mono.Instant(100 * time.Second), Meta: &t}
	}
	fresh, absent, expired := with(record.Meta{}), with(record.Meta{Absent: true}), with(record.Meta{Expired: true})
	early, far := with(record.Meta{Early: 20 * time.Second}), with(record.Meta{Early: time.Hour})
	own := with(record.Meta{Windows: &wire.Windows{RefreshAfter: 10 * time.Second, WhileRevalidate: time.Second}})
	none := with(record.Meta{Windows: new(wire.Windows)})
	for _, tc := range []struct {
		name string
		r    record.Record[int]
		p    Policy
		at   time.Duration // seconds
		want record.Use
	}{
		{"young", fresh, all, 49, record.Good},
		{"due", fresh, all, 50, record.RefreshDue},
		{"still due", fresh, all, 99, record.RefreshDue},
		{"outdated", fresh, all, 100, record.WhileRevalidate},
		{"still outdated", fresh, all, 109, record.WhileRevalidate},
		{"a fallback", fresh, all, 110, record.IfError},
		{"still a fallback", fresh, all, 119, record.IfError},
		{"too old", fresh, all, 120, record.Unusable},
		{"no windows", fresh, Policy{}, 99, record.Good},
		{"no windows, stale", fresh, Policy{}, 100, record.Unusable},
		{"outdated for longer than a fallback", fresh, errorFirst, 119, record.WhileRevalidate},
		{"too old for that", fresh, errorFirst, 120, record.Unusable},
		{"due early", early, all, 30, record.RefreshDue},
		{"not yet", early, all, 29, record.Good},
		{"never before half of it", far, all, 24, record.Good},
		{"from half of it on", far, all, 25, record.RefreshDue},
		{"early without RefreshAfter", far, errorFirst, 99, record.Good},
		{"absent", absent, all, 99, record.Good},
		{"absent, stale", absent, all, 100, record.Unusable},
		{"expired before its time", expired, all, 1, record.IfError},
		{"expired, and in its time isn't outdated", expired, all, 100, record.IfError},
		{"expired, too old", expired, all, 120, record.Unusable},
		{"expired without StaleIfError", expired, Policy{StaleWhileRevalidate: time.Hour}, 1, record.Unusable},
		{"its own RefreshAfter", own, Policy{}, 10, record.RefreshDue},
		{"its own StaleWhileRevalidate", own, Policy{}, 100, record.WhileRevalidate},
		{"its own StaleIfError, of which it has none", own, all, 101, record.Unusable},
		{"no windows of its own, young", none, all, 99, record.Good},
		{"no windows of its own, stale", none, all, 100, record.Unusable},
	} {
		w := tc.p.windows()
		if got := tc.r.Use(&w, mono.Instant(tc.at*time.Second)); got != tc.want {
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
		least, most = min(least, r.Early), max(most, r.Early)
		r.Took = 100 * time.Second
		w := p.windows()
		r.DrawEarly(&w, p.Jitter)
		sum += r.Early
	}
	if least < 0 || least > 10*time.Second || most > 100*time.Second || most < 90*time.Second {
		t.Errorf("what is set is early by %v to %v", least, most)
	}
	if mean := sum / draws; mean < 145*time.Second || mean > 155*time.Second { // 100 s, and half of the 100 s of jitter
		t.Errorf("what took 100 s is early by %v in the mean", mean)
	}
	p.RefreshAfter = 0
	if r := recordOf(0, false, p, coherence.Stamp{}); r.Early != 0 {
		t.Errorf("without RefreshAfter: %v", r.Early)
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
		r.Took, r.Windows = 1500*time.Millisecond, tc.own
		b, err := c.remote.encode(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		var f finding[string]
		_ = c.remote.decode(t.Context(), &f, b, c.policy)
		switch got := f.record; {
		case got == nil:
			t.Errorf("%s: nothing", tc.key)
		case (got.Windows == nil) != (tc.own == nil) || tc.own != nil && *got.Windows != *tc.own:
			t.Errorf("%s: %+v", tc.key, got.Windows)
		case got.Took != r.Took:
			t.Errorf("%s: took %v", tc.key, got.Took)
		case c.local.Keeps(got) != tc.keep:
			t.Errorf("%s: kept for %v", tc.key, c.local.Keeps(got))
		}
	}
}
