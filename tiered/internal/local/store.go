package local

import (
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// store is the generation that has the items, and what decides how they enter it.
type store[T any] struct {
	current   atomic.Pointer[generation[T]] // nil once the tier is closed
	closing   atomic.Bool                   // Close has begun: nobody enters a generation any more
	front     atomic.Pointer[front[T]]
	sampling  atomic.Bool // the sampler is on
	costed    bool
	maxCost   int64
	hash      func(key string) uint64
	retention *record.Retention // decides how long an item is of use
	counters  *counters
}

// enter returns the generation for a caller that isn't the write buffer, and nil once Close has begun. The generation isn't closed until
// the caller has left it. The write buffer, which replaces and closes generations, needn't enter them.
func (s *store[T]) enter(in *stripe) *generation[T] {
	for {
		g := s.current.Load()
		if g == nil || s.closing.Load() {
			return nil
		}
		in.inside[g.number].Add(1)
		if s.current.Load() == g {
			return g // what replaces it from now on sees this caller
		}
		in.inside[g.number].Add(-1)
	}
}

// leave ends what enter began, in the same stripe.
func (g *generation[T]) leave(in *stripe) { in.inside[g.number].Add(-1) }

// handOver gives the item to ristretto. It reports false if ristretto's queue is full.
func (s *store[T]) handOver(hash uint64, it *Item[T], at mono.Instant) bool {
	g := s.current.Load()
	if at >= it.usableUntil(s.retention) {
		g.Del(hash) // the item is of no use, and what it replaces must not be served either
		return true
	}
	if s.costed {
		// Replacing an item in place, ristretto neither makes room for a higher cost nor rejects it.
		if older := g.peek(hash); older != nil && older.Cost < it.Cost {
			g.Del(hash)
		}
	}
	return g.set(hash, it)
}
