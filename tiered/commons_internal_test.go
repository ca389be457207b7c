package tiered

import (
	"hash/maphash"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// What an item is for itself is a cache line: more would show in docs/performance.md.
func TestItemIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(item[int64]{}); n != 64 {
		t.Errorf("an item of an int64 has %d bytes", n)
	}
}

// Items share what is the same in them, and only that: what one is tied to isn't another's.
func TestItemsShare(t *testing.T) {
	seed := maphash.MakeSeed()
	hash := func(key string) uint64 { return maphash.String(seed, key) }
	l, err := newLocal[int](1000, true, hash)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	other, tag := coherence.NewValidity(1), new(coherence.TagState)
	n := 0
	set := func(tr traits, value int, b coherence.Deps) *item[int] {
		n++
		key := strconv.Itoa(n)
		tr.cost = int64(value)
		it := l.newItem(key, hash(key), &record[int]{value: value, freshUntil: mono.Instant(time.Hour), traits: &tr}, b, mono.Instant(time.Hour))
		if value == 2 {
			it.Validity = other // as tie does, before it is set
		}
		l.set(hash(key), it)
		return it
	}
	plain := coherence.Deps{Validity: coherence.Always}
	first := set(traits{took: 1}, 1, plain)
	for _, tc := range []struct {
		name         string
		t            traits
		value        int
		b            coherence.Deps
		alike, bound bool
	}{
		{"took longer", traits{took: 2}, 1, plain, true, true},
		{"costs more, and is tied", traits{}, 2, plain, false, false},
		{"absent", traits{absent: true}, 0, plain, false, true},
		{"expired", traits{expired: true}, 1, plain, false, true},
		{"early", traits{early: 1}, 1, plain, false, true},
		{"has windows", traits{windows: new(wire.Windows)}, 1, plain, false, true},
		{"another count", traits{Stamp: coherence.Stamp{Seq: 1}}, 1, plain, false, true},
		{"has a tag", traits{Stamp: coherence.Stamp{Tags: []string{"a"}}}, 1, coherence.Deps{Validity: coherence.Always, Tags: []*coherence.TagState{tag}}, false, false},
	} {
		set(traits{}, 1, plain) // the last before it
		it := set(tc.t, tc.value, tc.b)
		if it.sameTraits(first.traits) != tc.alike {
			t.Errorf("%s: has the traits %+v", tc.name, *it.traits)
		}
		if it.Equal(first.Deps) != tc.bound {
			t.Errorf("%s: has the bonds %+v", tc.name, *it.Deps)
		}
	}
	if first.Validity != coherence.Always || first.cost != 1 || first.absent || first.expired || len(first.Tags) > 0 {
		t.Errorf("the first was changed: %+v, %+v", *first.traits, *first.Deps)
	}
	a, b := set(traits{took: 3}, 1, plain), set(traits{took: 4}, 1, plain)
	if a.traits != b.traits || a.Deps != b.Deps {
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
