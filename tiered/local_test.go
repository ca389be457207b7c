package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// A value just set is readable at once, however many sets of the key went before (ristretto alone keeps the first of
// two and shows it later).
func TestSetIsReadableAtOnce(t *testing.T) {
	ctx := context.Background()
	c := newCache(t, tiered.Options[int]{MaxCost: 1 << 20})
	for i := range 20_000 {
		key := fmt.Sprint("k", i)
		for v := range 3 {
			if err := c.Set(ctx, key, i+v); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Get(ctx, key); err != nil || got != i+v {
				t.Fatalf("after Set(%s, %d): got %d, %v", key, i+v, got, err)
			}
		}
	}
	for i := range 20_000 {
		if got, err := c.Get(ctx, fmt.Sprint("k", i)); err != nil || got != i+2 {
			t.Fatalf("k%d: got %d, %v", i, got, err)
		}
	}
	waitFor(t, func() bool { s := c.Stats(); return s.Entries == 20_000 && s.Cost == 20_000 })
	if s := c.Stats(); s.Evicted+s.Rejected != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// A deleted value is gone for good, though a set of it may still be on its way in.
func TestDeleteIsFinal(t *testing.T) {
	ctx := context.Background()
	c := newCache(t, tiered.Options[int]{MaxCost: 1 << 20})
	const keys = 2_000
	for round := range 10 {
		for i := range keys {
			key := fmt.Sprint("k", i)
			if err := errors.Join(c.Set(ctx, key, round), c.Delete(ctx, key)); err != nil {
				t.Fatal(err)
			}
			if v, err := c.Get(ctx, key); err != tiered.ErrNotFound {
				t.Fatalf("%s was deleted: got %d, %v", key, v, err)
			}
		}
		for i := range keys {
			if v, err := c.Get(ctx, fmt.Sprint("k", i)); err != tiered.ErrNotFound {
				t.Fatalf("k%d was deleted a while ago: got %d, %v", i, v, err)
			}
		}
	}
}

// Each goroutine owns some keys, and always sees what it did last, in a cache that has room for all of them.
func TestReadYourWritesUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := newCache(t, tiered.Options[int]{MaxCost: 1 << 20})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			last := make(map[string]int) // 0: deleted
			for n := 1; n <= 30_000; n++ {
				key := fmt.Sprint(g, "/", rnd.IntN(200))
				switch rnd.IntN(4) {
				case 0:
					_ = c.Delete(ctx, key)
					delete(last, key)
				case 1, 2:
					_ = c.Set(ctx, key, n)
					last[key] = n
				}
				got, err := c.Get(ctx, key)
				if want, there := last[key]; there && (err != nil || got != want) || !there && err != tiered.ErrNotFound {
					t.Errorf("%s: got %d, %v; want %d, there %v", key, got, err, want, there)
					return
				}
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); s.Rejected+s.Evicted != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// In a cache that is far too small, values may be missing but never old.
func TestSmallCacheIsNeverStale(t *testing.T) {
	ctx := context.Background()
	c := newCache(t, tiered.Options[int]{MaxCost: 50})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			last := make(map[string]int)
			rnd := rand.New(rand.NewPCG(2, uint64(g)))
			for n := 1; n <= 30_000; n++ {
				key := fmt.Sprint(g, "/", rnd.IntN(300))
				if rnd.IntN(2) == 0 {
					_ = c.Set(ctx, key, n)
					last[key] = n
				}
				if got, err := c.Get(ctx, key); err == nil && got != last[key] {
					t.Errorf("%s: got %d, want %d or nothing", key, got, last[key])
					return
				}
			}
		})
	}
	wg.Wait()
	s := c.Stats()
	if s.Evicted+s.Rejected == 0 {
		t.Errorf("nothing was turned away: %+v", s)
	}
	if s.Cost > 50 {
		t.Errorf("cost %d is over MaxCost 50", s.Cost)
	}
}

// A burst waits for ristretto to take it in rather than be lost.
func TestBurst(t *testing.T) {
	t.Parallel()
	c := newCache(t, tiered.Options[int]{MaxCost: 1 << 21})
	const n = 100_000
	burst := make(map[string]int, n)
	for i := range n {
		burst[fmt.Sprint(i)] = i
	}
	if err := c.SetMany(t.Context(), burst); err != nil {
		t.Fatal(err)
	}
	if got, err := c.GetMany(t.Context(), slices.Collect(maps.Keys(burst))...); err != nil || len(got) != n {
		t.Errorf("%d of %d are there, %v; stats %+v", len(got), n, err, c.Stats())
	}
}

// MaxCost holds for values that grow, too.
func TestCostGrows(t *testing.T) {
	c := newCache(t, tiered.Options[int64]{MaxCost: 100, Cost: func(v int64) int64 { return v }})
	for _, cost := range []int64{1, 30, 1_000} {
		for i := range 100 {
			if err := c.Set(t.Context(), fmt.Sprint(i), cost); err != nil {
				t.Fatal(err)
			}
		}
		waitFor(t, func() bool { return c.Stats().Cost <= 100 })
	}
	waitFor(t, func() bool { return c.Stats().Entries == 0 }) // none of the last fits
}

func TestTTLForEver(t *testing.T) {
	for _, p := range []tiered.Policy{
		{TTL: math.MaxInt64, Jitter: -1}, {TTL: math.MaxInt64}, {TTL: math.MaxInt64, LocalTTL: math.MaxInt64, Jitter: -1}, {TTL: 1 << 62},
	} {
		c := newCache(t, tiered.Options[int]{Policy: p})
		for i := range 50 {
			key := fmt.Sprint(i)
			if err := c.Set(t.Context(), key, i); err != nil {
				t.Fatal(err)
			}
			if v, err := c.Get(t.Context(), key); v != i || err != nil {
				t.Fatalf("%+v: %d, %v", p, v, err)
			}
		}
	}
}

func TestNothingIsEvictedByClose(t *testing.T) {
	c := newCache(t, tiered.Options[int]{})
	for i := range 100 {
		if err := c.Set(t.Context(), fmt.Sprint(i), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if s := c.Stats(); s.Evicted != 0 || s.Entries != 0 || s.Cost != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestCost(t *testing.T) {
	ctx := context.Background()
	c := newCache(t, tiered.Options[string]{MaxCost: 100, Cost: func(s string) int64 { return int64(len(s)) }})
	if err := errors.Join(c.Set(ctx, "fits", string(make([]byte, 60))), c.Set(ctx, "big", string(make([]byte, 101)))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, "fits"); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool { s := c.Stats(); return s.Rejected == 1 && s.Entries == 1 && s.Cost == 60 })
}

// Gets and Sets that race Close neither panic nor find anything afterwards.
func TestCloseRacesReadsAndWrites(t *testing.T) {
	ctx := context.Background()
	for range 20 {
		c := newCache(t, tiered.Options[int]{MaxCost: 1_000})
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 2_000 {
					key := fmt.Sprint("k", (i+g)%100)
					_ = c.Set(ctx, key, i)
					_, _ = c.Get(ctx, key)
					_ = c.Delete(ctx, key)
					_ = c.Stats()
				}
			})
		}
		wg.Go(func() { _ = c.Close() })
		wg.Wait()
		if _, err := c.Get(ctx, "k1"); err != tiered.ErrClosed {
			t.Fatalf("after Close: %v", err)
		}
	}
}

// Expired entries leave memory by themselves.
func TestExpiredEntriesAreFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[int]{MaxCost: 10_000, Policy: tiered.Policy{TTL: time.Minute}})
		brief := c.With(func(p *tiered.Policy) { p.TTL = time.Second })
		for i := range 1_000 {
			if err := errors.Join(c.Set(t.Context(), fmt.Sprint("long", i), i), brief.Set(t.Context(), fmt.Sprint("brief", i), i)); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []int64{2_000, 1_000} {
			synctest.Wait()
			if s := c.Stats(); s.Entries != want || s.Cost != want || s.Evicted != 0 {
				t.Errorf("%d entries expected, stats %+v", want, s)
			}
			time.Sleep(6 * time.Second)
		}
	})
}
