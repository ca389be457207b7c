package local_test

import (
	"math"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// An item with a small value is a cache line. More would change docs/performance.md.
func TestItemIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(local.Item[int64]{}); n != 64 {
		t.Errorf("an item of an int64 has %d bytes", n)
	}
}

// Items share what is the same in them, and nothing else: one item's dependencies aren't another's.
func TestItemsShare(t *testing.T) {
	l := open(t, func(o *local.Options) { o.Costed = true })
	other, tag := coherence.NewValidity(1), new(coherence.TagState)
	n := 0
	set := func(m record.Meta, value int, deps coherence.Deps) *local.Item[int] {
		n++
		key := strconv.Itoa(n)
		m.Cost = int64(value)
		r := &record.Record[int]{Value: value, FreshUntil: mono.Instant(time.Hour), Meta: &m}
		it := l.NewItem(key, hash(key), r, deps, mono.Instant(time.Hour))
		if value == 2 {
			it.Validity = other // as a write does before it sets the item
		}
		l.Set(hash(key), it)
		return it
	}
	plain := coherence.Deps{Validity: coherence.Always}
	first := set(record.Meta{Took: 1}, 1, plain)
	for _, tc := range []struct {
		name               string
		m                  record.Meta
		value              int
		deps               coherence.Deps
		sameMeta, sameDeps bool
	}{
		{"took longer", record.Meta{Took: 2}, 1, plain, true, true},
		{"costs more, and has another validity", record.Meta{}, 2, plain, false, false},
		{"absent", record.Meta{Absent: true}, 0, plain, false, true},
		{"expired", record.Meta{Expired: true}, 1, plain, false, true},
		{"early", record.Meta{Early: 1}, 1, plain, false, true},
		{"has windows", record.Meta{Windows: new(wire.Windows)}, 1, plain, false, true},
		{"another sequence number", record.Meta{Stamp: coherence.Stamp{Seq: 1}}, 1, plain, false, true},
		{"has a tag", record.Meta{Stamp: coherence.Stamp{Tags: []string{"a"}}}, 1, coherence.Deps{Validity: coherence.Always, Tags: []*coherence.TagState{tag}}, false, false},
	} {
		set(record.Meta{}, 1, plain) // the last before it
		it := set(tc.m, tc.value, tc.deps)
		if it.Meta.Equal(first.Meta) != tc.sameMeta {
			t.Errorf("%s: has the meta %+v", tc.name, *it.Meta)
		}
		if it.Equal(first.Deps) != tc.sameDeps {
			t.Errorf("%s: has the deps %+v", tc.name, *it.Deps)
		}
	}
	if first.Validity != coherence.Always || first.Cost != 1 || first.Absent || first.Expired || len(first.Tags) > 0 {
		t.Errorf("the first was changed: %+v, %+v", *first.Meta, *first.Deps)
	}
	a, b := set(record.Meta{Took: 3}, 1, plain), set(record.Meta{Took: 4}, 1, plain)
	if a.Meta != b.Meta || a.Deps != b.Deps {
		t.Error("two that are alike share nothing")
	}
	c := &local.Item[int]{}
	if l.SetDeps(c, plain); c.Deps != a.Deps {
		t.Error("SetDeps doesn't share what is the same")
	}
	if l.SetDeps(c, coherence.Deps{Validity: other}); c.Validity != other || a.Validity != coherence.Always {
		t.Error("SetDeps changes what is shared")
	}
}

// An item that is kept for ever is of use at any time.
func TestItemForEver(t *testing.T) {
	for _, w := range []wire.Windows{{}, {IfError: math.MaxInt64}, {WhileRevalidate: math.MaxInt64, RefreshAfter: math.MaxInt64 - 1}} {
		for _, start := range []mono.Instant{0, math.MinInt64 / 4, math.MaxInt64 / 4} {
			l := open(t, func(o *local.Options) { o.Retention = keeping(w) })
			r := &record.Record[int]{Value: 1, Created: start, FreshUntil: start.Add(math.MaxInt64), Meta: new(record.Meta)}
			l.Set(hash("k"), l.NewItem("k", hash("k"), r, always, r.FreshUntil))
			for _, age := range []time.Duration{0, time.Hour, math.MaxInt64 / 4} {
				if v := got(l, "k", start.Add(age), &w); v != 1 {
					t.Errorf("%+v from %d: got %d after %v", w, start, v, age)
				}
				if l.GetStale("k", hash("k"), start.Add(age)) == nil {
					t.Errorf("%+v from %d: no fallback after %v", w, start, age)
				}
			}
		}
	}
}
