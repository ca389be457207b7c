package local_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

func TestGetsByAge(t *testing.T) {
	w := wire.Windows{WhileRevalidate: 10 * time.Second, IfError: 20 * time.Second}
	l := open(t, func(o *local.Options) { o.Retention = keeping(w) })
	put(l, "k", 1, record.Meta{}, always)
	for _, tc := range []struct {
		at                   time.Duration
		plain, windows, kept bool
	}{{99, true, true, true}, {100, false, true, true}, {109, false, true, true}, {110, false, false, true}, {119, false, false, true}, {120, false, false, false}} {
		at := seconds(tc.at)
		if v := got(l, "k", at, nil); (v == 1) != tc.plain {
			t.Errorf("at %d s: Get returns %d", tc.at, v)
		}
		if v := got(l, "k", at, &w); (v == 1) != tc.windows {
			t.Errorf("at %d s: Get with windows returns %d", tc.at, v)
		}
		it := l.GetStale("k", hash("k"), at)
		if (it != nil) != tc.kept {
			t.Errorf("at %d s: GetStale returns %v", tc.at, it)
		}
		if it != nil && l.InTime(it, at, &w) != tc.windows {
			t.Errorf("at %d s: in time %v", tc.at, !tc.windows)
		}
	}
}

func TestLocalTTL(t *testing.T) {
	w := wire.Windows{WhileRevalidate: 10 * time.Second}
	l := open(t, func(o *local.Options) { o.Retention = keeping(w) })
	r := &record.Record[int]{Value: 1, FreshUntil: seconds(100), Meta: new(record.Meta)}
	l.Set(hash("k"), l.NewItem("k", hash("k"), r, always, seconds(50)))
	for at, want := range map[time.Duration]int{49: 1, 50: 0, 99: 0, 100: 1, 110: 0} {
		if v := got(l, "k", seconds(at), &w); v != want {
			t.Errorf("at %d s: got %d, want %d", at, v, want)
		}
	}
	if l.GetStale("k", hash("k"), seconds(60)) == nil {
		t.Error("it is no fallback")
	}
}

func TestNeedsRefresh(t *testing.T) {
	l := open(t, nil)
	due := wire.Windows{RefreshAfter: 50 * time.Second}
	for _, tc := range []struct {
		name string
		own  *wire.Windows
		w    wire.Windows
		at   time.Duration
		want bool
	}{
		{"fresh", nil, due, 49, false},
		{"due", nil, due, 50, true},
		{"no RefreshAfter", nil, wire.Windows{}, 99, false},
		{"its own", &due, wire.Windows{}, 50, true},
		{"stale", nil, wire.Windows{WhileRevalidate: time.Second}, 100, true},
	} {
		it := put(l, "k", 1, record.Meta{Windows: tc.own}, always)
		if got := it.NeedsRefresh(&tc.w, seconds(tc.at)); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// In a bubble no item is over when the sweeper looks at it, however long the other tests took.
func TestUnverified(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { testUnverified(t, strict) })
	}
}

func testUnverified(t *testing.T, strict bool) {
	l := open(t, func(o *local.Options) { o.Strict = strict })
	feed := new(coherence.Feed)
	put(l, "k", 1, record.Meta{}, coherence.Deps{Validity: coherence.NewValidity(10), Feed: feed})
	if v := got(l, "k", 9, nil); v != 1 {
		t.Errorf("strict %v: got %d while its validity holds", strict, v)
	}
	if v := got(l, "k", 10, nil); v != 0 {
		t.Errorf("strict %v: got %d though Redis answers", strict, v)
	}
	feed.Unreachable.Store(true)
	want := 1
	if strict {
		want = 0
	}
	if v := got(l, "k", 10, nil); v != want {
		t.Errorf("strict %v: got %d while Redis doesn't answer", strict, v)
	}
	feed.Unreachable.Store(false)
	key := "now"
	r := record.New(2, false, time.Hour, coherence.Stamp{})
	l.Set(hash(key), l.NewItem(key, hash(key), r, coherence.Deps{Validity: coherence.Never, Feed: feed}, r.FreshUntil))
	if it := l.GetUnverified(key, hash(key), nil); (it != nil) == strict {
		t.Errorf("strict %v: GetUnverified returns %v", strict, it)
	}
	if it := l.GetUnverifiedStale(key, hash(key)); (it != nil) == strict {
		t.Errorf("strict %v: GetUnverifiedStale returns %v", strict, it)
	}
	l.CountUnverified()
	s := l.Stats()
	if !strict && (s.Bypassed != 1 || s.Unverified != 3) || strict && s.Bypassed < 2 || l.Strict() != strict {
		t.Errorf("strict %v: %+v", strict, s)
	}
}

func TestExpiredTag(t *testing.T) {
	w := wire.Windows{IfError: time.Hour}
	for _, invalidated := range []bool{false, true} {
		l := open(t, func(o *local.Options) { o.Retention = keeping(w) })
		tag := &coherence.TagState{Validity: coherence.Always}
		put(l, "k", 1, record.Meta{}, coherence.Deps{Validity: coherence.Always, Tags: []*coherence.TagState{tag}})
		if !invalidated {
			tag.Latest = tag.Latest.Replace(&coherence.TagState{Validity: coherence.Always})
		}
		tag.Dead.Store(true)
		if v := got(l, "k", 1, &w); v != 0 {
			t.Errorf("invalidated %v: Get returns %d", invalidated, v)
		}
		it := l.GetStale("k", hash("k"), 1)
		switch {
		case (it == nil) != invalidated:
			t.Errorf("invalidated %v: GetStale returns %v", invalidated, it)
		case it != nil && (!it.Stale(1) || it.Value != 1 || it.Use(&w, 1) != record.IfError):
			t.Errorf("after the expiry %+v", it)
		}
	}
}
