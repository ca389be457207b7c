package local

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// The tier behaves like a map, with each goroutine on keys of its own, of which some have the same hash. A value may be missing
// for lack of room or because of its hash, and is never another one than the last.
func TestLocalAgainstModel(t *testing.T) {
	for _, test := range []struct {
		maxCost int64
		keys    int    // of each goroutine
		hashes  uint64 // the number of different hashes; 0: one for each key
		ttl     time.Duration
		exact   bool // nothing may be missing
	}{
		{1 << 20, 120, 0, time.Hour, true},
		{1 << 20, 120, 0, 3 * time.Millisecond, true},
		{1 << 20, 120, 64, time.Hour, false},
		{20, 120, 0, time.Hour, false},
		{1, 120, 16, 2 * time.Millisecond, false},
		{math.MaxInt64, 120, 7, time.Hour, false},
		{12_000, 3_000, 0, time.Hour, true},     // grows when it has 3,000
		{4_000, 3_000, 2_000, time.Hour, false}, // grows when it has 1,000
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			l, err := New[int](Options{MaxCost: test.maxCost, Retention: new(record.Retention), Hash: func(key string) uint64 { return modelHash(key, test.hashes) }})
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() { localModel(t, l, g, test.keys, test.ttl, test.exact) })
			}
			wg.Wait()
			for deadline := time.Now().Add(10 * time.Second); l.buffer.count.Load() > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the write buffer isn't emptied")
				}
			}
			g := l.current.Load()
			if grown := g.number == 1; grown != (test.keys > 1_000) {
				t.Errorf("the tier has grown: %v", grown)
			}
			g.Wait()
			held := int64(0)
			g.IterValues(func(*Item[int]) bool { held++; return false })
			if n := l.Stats().Entries; n != held {
				t.Errorf("%d entries counted, %d there", n, held)
			}
			l.Close()
			if n := g.entries.Load(); n != 0 {
				t.Errorf("%d entries after close", n)
			}
		})
	}
}

// modelHash returns one of the given number of hashes; 0: one for each key.
func modelHash(key string, hashes uint64) uint64 {
	var g, i uint64
	_, _ = fmt.Sscanf(key, "%d-%d", &g, &i)
	hash := g*10_000 + i
	if hashes > 0 {
		hash %= hashes
	}
	return hash * 0x9E3779B97F4A7C15
}

func localModel(t *testing.T, l *Tier[int], g, keys int, ttl time.Duration, exact bool) {
	type last struct {
		value int
		until mono.Instant
	}
	rnd := rand.New(rand.NewPCG(9, uint64(g)))
	model := make(map[string]last)
	for n := 1; n <= 20_000; n++ {
		i := rnd.IntN(keys)
		key := fmt.Sprint(g, "-", i)
		hash := l.hash(key)
		switch rnd.IntN(5) {
		case 0:
			l.Delete(key, hash)
			delete(model, key)
		case 1, 2:
			until := mono.Now().Add(ttl / time.Duration(1+rnd.IntN(3)))
			l.Set(hash, l.NewItem(key, hash, &record.Record[int]{Value: n, Meta: new(record.Meta)}, coherence.Deps{Validity: coherence.Always}, until))
			model[key] = last{n, until}
		}
		at := mono.Now()
		it := l.Get(key, hash, at, nil)
		want, there := model[key]
		switch {
		case it != nil && (!there || it.Value != want.value || at >= want.until):
			t.Errorf("%s: got %d; want %d, there %v", key, it.Value, want.value, there)
			return
		case it == nil && exact && there && mono.Now() < want.until:
			t.Errorf("%s: %d is missing", key, want.value)
			return
		}
	}
}
