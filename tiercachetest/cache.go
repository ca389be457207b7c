package tiercachetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Cache is a cache for one test. The code under test gets its tiered.Cache.
type Cache[T any] struct {
	*tiered.Cache[T]

	mu    sync.Mutex
	loads map[string]int
}

// New returns a cache with the options, which is closed when the test ends. It fails the test if they are wrong, or if Close fails.
// An empty Name is "test". Without a Redis the cache may be used in a bubble of testing/synctest, if it is made there.
//
// All callers of a cache share its values. So New also fails the test if a value that was stored has been modified when the test ends:
// if the cache's Codec then encodes it differently. It doesn't look at values that are modified only where the codec doesn't look, or that
// the codec can't encode, nor at any if o has a Clone or T has no pointers. To do that New sets o.Cost, which calls the one of o. If
// o has none, and MaxCost is 0, MaxCost is 100,000 entries as usual.
func New[T any](t testing.TB, o tiered.Options[T]) *Cache[T] {
	t.Helper()
	if o.Name == "" {
		o.Name = "test"
	}
	c := &Cache[T]{loads: make(map[string]int)}
	o.Trace = c.countLoads(o.Trace)
	watch(t, &o)
	c.Cache = open(t, o)
	return c
}

// NewNoOp returns a cache that keeps nothing, for as long as the test runs: each call loads, and what is set is gone. Callers that ask for
// the same key at the same time still share one load.
func NewNoOp[T any](t testing.TB) *tiered.Cache[T] {
	t.Helper()
	return open(t, tiered.Options[T]{Name: "noop", MaxCost: 1, Cost: func(T) int64 { return 2 }}) // each value costs too much
}

// open returns a cache that is closed when the test ends.
func open[T any](t testing.TB, o tiered.Options[T]) *tiered.Cache[T] {
	t.Helper()
	c, err := tiered.New(o)
	if err != nil {
		t.Fatalf("tiercachetest: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("tiercachetest: closing the cache: %v", err)
		}
	})
	return c
}

// Loads returns how many loads of the key have ended, successful or not. It counts a key that a batch was to load as one load. The number
// includes the load that a call of the cache has just returned the value of.
func (c *Cache[T]) Loads(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loads[key]
}

// countLoads returns the Trace with a LoadDone that counts.
func (c *Cache[T]) countLoads(t *tiered.Trace) *tiered.Trace {
	var counting tiered.Trace
	if t != nil {
		counting = *t
	}
	next := counting.LoadDone
	counting.LoadDone = func(ctx context.Context, keys []string, took time.Duration, err error) {
		c.mu.Lock()
		for _, key := range keys {
			c.loads[key]++
		}
		c.mu.Unlock()
		if next != nil {
			next(ctx, keys, took, err)
		}
	}
	return &counting
}
