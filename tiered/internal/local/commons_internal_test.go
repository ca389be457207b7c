package local

import (
	"hash/maphash"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// What an item is for itself is a cache line: more would show in docs/performance.md.
func TestItemIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Item[int64]{}); n != 64 {
		t.Errorf("an item of an int64 has %d bytes", n)
	}
}

// Items share what is the same in them, and only that: what one is tied to isn't another's.
func TestItemsShare(t *testing.T) {
	seed := maphash.MakeSeed()
	hash := func(key string) uint64 { return maphash.String(seed, key) }
	l, err := New[int](Options{MaxCost: 1000, Costed: true, Retention: new(record.Retention), Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	other, tag := coherence.NewValidity(1), new(coherence.TagState)
	n := 0
	set := func(tr record.Meta, value int, b coherence.Deps) *Item[int] {
		n++
		key := strconv.Itoa(n)
		tr.Cost = int64(value)
		it := l.NewItem(key, hash(key), &record.Record[int]{Value: value, FreshUntil: mono.Instant(time.Hour), Meta: &tr}, b, mono.Instant(time.Hour))
		if value == 2 {
			it.Validity = other // as tie does, before it is set
		}
		l.Set(hash(key), it)
		return it
	}
	plain := coherence.Deps{Validity: coherence.Always}
	first := set(record.Meta{Took: 1}, 1, plain)
	for _, tc := range []struct {
		name         string
		t            record.Meta
		value        int
		b            coherence.Deps
		alike, bound bool
	}{
		{"took longer", record.Meta{Took: 2}, 1, plain, true, true},
		{"costs more, and is tied", record.Meta{}, 2, plain, false, false},
		{"absent", record.Meta{Absent: true}, 0, plain, false, true},
		{"expired", record.Meta{Expired: true}, 1, plain, false, true},
		{"early", record.Meta{Early: 1}, 1, plain, false, true},
		{"has windows", record.Meta{Windows: new(wire.Windows)}, 1, plain, false, true},
		{"another count", record.Meta{Stamp: coherence.Stamp{Seq: 1}}, 1, plain, false, true},
		{"has a tag", record.Meta{Stamp: coherence.Stamp{Tags: []string{"a"}}}, 1, coherence.Deps{Validity: coherence.Always, Tags: []*coherence.TagState{tag}}, false, false},
	} {
		set(record.Meta{}, 1, plain) // the last before it
		it := set(tc.t, tc.value, tc.b)
		if it.Meta.Equal(first.Meta) != tc.alike {
			t.Errorf("%s: has the traits %+v", tc.name, *it.Meta)
		}
		if it.Equal(first.Deps) != tc.bound {
			t.Errorf("%s: has the bonds %+v", tc.name, *it.Deps)
		}
	}
	if first.Validity != coherence.Always || first.Cost != 1 || first.Absent || first.Expired || len(first.Tags) > 0 {
		t.Errorf("the first was changed: %+v, %+v", *first.Meta, *first.Deps)
	}
	a, b := set(record.Meta{Took: 3}, 1, plain), set(record.Meta{Took: 4}, 1, plain)
	if a.Meta != b.Meta || a.Deps != b.Deps {
		t.Error("two that are alike share nothing")
	}
}

// The counters take no more memory than they may, and all of what ristretto allocates for them.
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
