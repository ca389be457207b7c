package local

import (
	"fmt"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// generation is a ristretto cache with a number of access counters. A tier begins with few, which take little memory, and is given
// all that its MaxCost asks for once it has many items: ristretto can't be given more, so another one replaces it (growth.go).
type generation[T any] struct {
	*ristretto.Cache[uint64, *Item[T]]
	number  int // the first or the second of the tier: 0 or 1
	entries atomic.Int64
	retired atomic.Bool // it is being closed: its items don't leave for lack of room
}

// newGeneration returns an empty one.
func (s *store[T]) newGeneration(number int, counters int64) (*generation[T], error) {
	g := &generation[T]{number: number}
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *Item[T]]{
		NumCounters:        counters,
		MaxCost:            s.maxCost,
		BufferItems:        readBatchFor(s.maxCost),
		IgnoreInternalCost: true,
		OnEvict: func(i *ristretto.Item[*Item[T]]) {
			if i.Value == nil || g.retired.Load() {
				return
			}
			s.front.Load().remove(i.Key, i.Value)
			if mono.Now() < i.Value.usableUntil(s.retention) {
				s.counters.evicted.Add(1)
			}
		},
		OnReject: func(*ristretto.Item[*Item[T]]) { s.counters.rejected.Add(1) },
		OnExit: func(it *Item[T]) {
			if it != nil {
				g.entries.Add(-1)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("tiered: local tier: %w", err)
	}
	g.Cache = cache
	return g, nil
}

// peek returns what ristretto has for the hash. If it has nothing that isn't counted as a read of the hash, which a Get would
// do. Each miss looks more than once, so a hash that was read once would count as one that is read often.
func (g *generation[T]) peek(hash uint64) *Item[T] {
	if _, there := g.GetTTL(hash); !there {
		return nil
	}
	it, _ := g.Get(hash)
	return it
}

// set gives the item to ristretto. It reports false if ristretto's queue is full.
func (g *generation[T]) set(hash uint64, it *Item[T]) bool {
	g.entries.Add(1)
	if g.Set(hash, it, it.Cost) {
		return true
	}
	g.entries.Add(-1)
	return false
}

// cost returns the cost of all items.
func (g *generation[T]) cost() int64 { return g.MaxCost() - g.RemainingCost() }

// close closes the generation, which nobody may be in.
func (g *generation[T]) close() {
	g.retired.Store(true)
	g.Close()
}
