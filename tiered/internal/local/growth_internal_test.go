package local

import (
	"hash/maphash"
	"math"
	"strconv"
	"sync"
	"testing"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// openGrowing returns a tier of integers, and a function that sets one.
func openGrowing(t *testing.T, maxCost int64, costed bool) (l *Tier[int], set func(key, cost int)) {
	t.Helper()
	seed := maphash.MakeSeed()
	l, err := New[int](Options{
		MaxCost: maxCost, Costed: costed, Retention: new(record.Retention),
		Hash: func(key string) uint64 { return maphash.String(seed, key) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, func(i, cost int) {
		key := strconv.Itoa(i)
		l.Set(l.hash(key), newItem(l, key, i, cost))
	}
}

// newItem returns an item of the tier that doesn't end.
func newItem(l *Tier[int], key string, value, cost int) *Item[int] {
	r := &record.Record[int]{Value: value, Meta: &record.Meta{Cost: int64(cost)}}
	return l.NewItem(key, l.hash(key), r, coherence.Deps{Validity: coherence.Always}, math.MaxInt64)
}

func (l *Tier[T]) grown() bool { return l.current.Load().number == 1 }

// settle waits until the write buffer is empty, and so the tier has grown if it has to.
func (l *Tier[T]) settle(t *testing.T) {
	t.Helper()
	observe.Until(t, "an empty write buffer", func() bool { return l.buffer.count.Load() == 0 })
	observe.Until(t, "a front of the right size", func() bool { return len(l.front.Load().slots) >= slotsFor(l.Stats().Entries) })
}

// A tier has few counters until it has many items, or a quarter of what its MaxCost allows.
func TestTierGrows(t *testing.T) {
	for name, tc := range map[string]struct {
		maxCost     int64
		costed      bool
		cost        int // of each item
		few, enough int // so many items leave it as it is, and so many make it grow
	}{
		"items":        {math.MaxInt64, false, 1, firstEntries, firstEntries + 1},
		"a quarter":    {10_000, false, 1, 2_500, 2_501},
		"cost":         {1_000_000, true, 1_000, 250, 251},
		"a small tier": {400, false, 1, 400, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, set := openGrowing(t, tc.maxCost, tc.costed)
			for i := range tc.few {
				set(i, tc.cost)
			}
			if l.settle(t); l.grown() {
				t.Fatalf("%d items made it grow", tc.few)
			}
			for i := tc.few; i < tc.enough; i++ {
				set(i, tc.cost)
			}
			if tc.enough > 0 {
				observe.Until(t, "growth", l.grown)
			}
			for i := range max(tc.few, tc.enough) {
				key := strconv.Itoa(i)
				if it := l.Get(key, l.hash(key), mono.Now(), nil); it == nil || it.Value != i {
					t.Fatalf("%s: got %v", key, it)
				}
			}
			if s, n := l.Stats(), max(tc.few, tc.enough); s.Entries != int64(n) || s.Cost != int64(n*tc.cost) || s.Evicted+s.Rejected > 0 {
				t.Errorf("got %+v, want %d entries", s, n)
			}
		})
	}
}

// A read that began in the first generation ends in it: only then is that one closed. What is set meanwhile stays readable.
func TestGrowthWaitsForReads(t *testing.T) {
	l, set := openGrowing(t, 10_000, false)
	for i := range 2_500 {
		set(i, 1)
	}
	l.settle(t)
	in := &l.stripes[5]
	g := l.enter(in)
	set(2_500, 1)
	observe.Until(t, "growth", l.grown)
	set(2_501, 1)
	key := strconv.Itoa(7)
	if it := g.peek(l.hash(key)); it == nil || it.Value != 7 {
		t.Errorf("the first generation has %v", it)
	}
	for i := range 2_502 {
		key := strconv.Itoa(i)
		if it := l.Get(key, l.hash(key), mono.Now(), nil); it == nil || it.Value != i {
			t.Fatalf("%s: got %v", key, it)
		}
	}
	if g.retired.Load() {
		t.Error("the first generation is closed, though it is being read")
	}
	g.leave(in)
	observe.Until(t, "the end of the first generation", func() bool { return g.entries.Load() == 0 })
}

// Who has entered a generation finds it open until leaving it.
func TestEnteredIsOpen(t *testing.T) {
	t.Parallel()
	var s store[int]
	var all stripes
	first := new(generation[int])
	s.current.Store(first)
	var readers sync.WaitGroup
	for i := range 3 {
		readers.Go(func() {
			in := &all[i/2]
			for g := s.enter(in); g != nil; g = s.enter(in) {
				for range 10 {
					if g.retired.Load() {
						t.Error("it is closed")
					}
				}
				g.leave(in)
			}
		})
	}
	for i, old := 1, first; i <= 1_000; i++ {
		next := &generation[int]{number: i % 2}
		s.current.Store(next)
		all.waitUntilLeft(old.number)
		old.retired.Store(true)
		old = next
	}
	s.current.Store(nil)
	readers.Wait()
}

// Close ends growth.
func TestCloseWhileGrowing(t *testing.T) {
	for range 3 {
		l, err := New[int](Options{MaxCost: 1 << 20, Retention: new(record.Retention), Hash: func(key string) uint64 { return uint64(len(key)) }})
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(firstEntries + 1) {
			hash := i * 0x9E3779B97F4A7C15
			l.SetBuffered(hash, l.NewItem("k", hash, &record.Record[int]{Meta: new(record.Meta)}, coherence.Deps{Validity: coherence.Always}, math.MaxInt64), mono.Now())
		}
		l.Flush()
		l.Close()
	}
}
