package record_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

func TestNew(t *testing.T) {
	before := mono.Now()
	r := record.New(7, false, time.Hour, coherence.Stamp{Seq: 3, Tags: []string{"a"}})
	if r.Value != 7 || r.Absent || r.Seq != 3 || !slices.Equal(r.Tags, []string{"a"}) {
		t.Errorf("%+v, %+v", r, r.Meta)
	}
	if r.Created < before || r.Created > mono.Now() || r.FreshUntil.Since(r.Created) != time.Hour {
		t.Errorf("created at %v, fresh until %v", r.Created, r.FreshUntil)
	}
	for freshFor, want := range map[time.Duration]bool{1: true, 0: false, -1: false, math.MaxInt64: true} {
		if r := record.New(7, false, freshFor, coherence.Stamp{}); r.Storable() != want {
			t.Errorf("fresh for %v: storable %v", freshFor, r.Storable())
		}
	}
}

func TestMetaEqual(t *testing.T) {
	w, alike, other := wire.Windows{IfError: 1}, wire.Windows{IfError: 1}, wire.Windows{IfError: 2}
	stamp := coherence.Stamp{Epoch: coherence.EpochID{1}, Seq: 1, Tags: []string{"a"}}
	m := record.Meta{Took: 1, Early: 1, Windows: &w, Cost: 1, Stamp: stamp}
	same := m
	same.Windows, same.Tags = &alike, []string{"a"}
	if !m.Equal(&m) || !m.Equal(&same) || !same.Equal(&m) || !new(record.Meta).Equal(new(record.Meta)) {
		t.Error("not equal, but for pointers")
	}
	for name, edit := range map[string]func(*record.Meta){
		"absent":           func(m *record.Meta) { m.Absent = true },
		"expired":          func(m *record.Meta) { m.Expired = true },
		"another load":     func(m *record.Meta) { m.Took = 2 },
		"refreshed later":  func(m *record.Meta) { m.Early = 0 },
		"no windows":       func(m *record.Meta) { m.Windows = nil },
		"other windows":    func(m *record.Meta) { m.Windows = &other },
		"another cost":     func(m *record.Meta) { m.Cost = 2 },
		"another epoch":    func(m *record.Meta) { m.Epoch[0] = 2 },
		"another sequence": func(m *record.Meta) { m.Seq = 2 },
		"another tag":      func(m *record.Meta) { m.Tags = []string{"b"} },
		"one more tag":     func(m *record.Meta) { m.Tags = []string{"a", "b"} },
	} {
		o := m
		edit(&o)
		if m.Equal(&o) || o.Equal(&m) {
			t.Errorf("%s: equal", name)
		}
	}
}

// A value is drawn to be refreshed the earlier the longer its load takes, and at different ages if it was set.
func TestDrawEarly(t *testing.T) {
	w := wire.Windows{RefreshAfter: 1000 * time.Second}
	const draws, jitter = 10_000, 0.1
	var least, most, sum time.Duration = time.Hour, 0, 0
	for range draws {
		var m record.Meta
		m.DrawEarly(&w, jitter)
		least, most = min(least, m.Early), max(most, m.Early)
		m.Took = 100 * time.Second
		m.DrawEarly(&w, jitter)
		sum += m.Early
	}
	if least < 0 || least > 10*time.Second || most > 100*time.Second || most < 90*time.Second {
		t.Errorf("what is set is early by %v to %v", least, most)
	}
	if mean := sum / draws; mean < 145*time.Second || mean > 155*time.Second { // 100 s, and half of the 100 s of jitter
		t.Errorf("what took 100 s is early by %v in the mean", mean)
	}
	m := record.Meta{Took: time.Hour}
	if m.DrawEarly(new(wire.Windows), jitter); m.Early != 0 {
		t.Errorf("without RefreshAfter: early by %v", m.Early)
	}
	m.Windows = new(wire.Windows)
	if m.DrawEarly(&w, jitter); m.Early != 0 {
		t.Errorf("without a RefreshAfter of its own: early by %v", m.Early)
	}
	m.Windows, m.Took = &wire.Windows{RefreshAfter: 10 * time.Second}, 0
	if m.DrawEarly(new(wire.Windows), 1); m.Early <= 0 || m.Early > 10*time.Second {
		t.Errorf("with a RefreshAfter of its own: early by %v", m.Early)
	}
}

func TestJittered(t *testing.T) {
	for range 1000 {
		if d := record.Jittered(time.Hour, 0.5); d < 30*time.Minute || d > time.Hour {
			t.Fatalf("by up to a half: %v", d)
		}
		if d := record.Jittered(time.Hour, 7); d < 0 || d > time.Hour {
			t.Fatalf("by up to all: %v", d)
		}
		if d := record.Jittered(math.MaxInt64, 1); d < 0 {
			t.Fatalf("of the longest: %v", d)
		}
	}
	for _, part := range []float64{0, -1, math.NaN(), math.Inf(-1)} {
		if d := record.Jittered(time.Hour, part); d != time.Hour {
			t.Errorf("by %v: %v", part, d)
		}
	}
}

func TestRetention(t *testing.T) {
	k := new(record.Retention)
	plain, absent, own := madeAtZero(record.Meta{}), madeAtZero(record.Meta{Absent: true}), madeAtZero(record.Meta{Windows: &wire.Windows{IfError: time.Minute}})
	const ttl = 100 * time.Second
	check := func(when string, r *record.Record[int], staleFor, redis time.Duration) {
		t.Helper()
		if got := r.StaleFor(k); got != staleFor {
			t.Errorf("%s: of use for %v past its TTL, want %v", when, got, staleFor)
		}
		if got := r.RedisTTL(k); got != redis {
			t.Errorf("%s: Redis keeps it for %v, want %v", when, got, redis)
		}
	}
	k.Add(new(wire.Windows))
	check("no windows", plain, 0, ttl)
	check("windows of its own", own, time.Minute, ttl+time.Minute+wire.MaxLease)
	k.Add(&wire.Windows{RefreshAfter: time.Second})
	check("RefreshAfter", plain, 0, ttl+wire.MaxLease)
	k.Add(&wire.Windows{IfError: time.Hour, WhileRevalidate: time.Minute})
	k.Add(&wire.Windows{WhileRevalidate: time.Second})
	check("the longest of all views", plain, time.Hour, ttl+time.Hour+wire.MaxLease)
	check("an absence", absent, 0, ttl+wire.MaxLease)
	check("windows of its own, still", own, time.Minute, ttl+time.Minute+wire.MaxLease)
	if got := k.MaxRedisTTL(ttl); got != ttl+time.Hour+wire.MaxLease {
		t.Errorf("at most %v", got)
	}
	k.Add(&wire.Windows{IfError: math.MaxInt64})
	if got := plain.RedisTTL(k); got <= 0 || got > k.MaxRedisTTL(ttl) {
		t.Errorf("kept for ever: %v of %v", got, k.MaxRedisTTL(ttl))
	}
}
