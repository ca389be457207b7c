package local

import (
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// store is the ristretto cache that has the items, and what decides how they enter it.
type store[T any] struct {
	cache     *ristretto.Cache[uint64, *Item[T]]
	costed    bool
	hash      func(key string) uint64
	retention *record.Retention // decides how long an item is of use
	counters  *counters
	closed    atomic.Bool // no Get that begins now may use ristretto
}

// peek returns what ristretto has for the hash. If it has nothing that isn't counted as a read of the hash, which a Get would
// do. Each miss looks more than once, so a hash that was read once would count as one that is read often.
func (s *store[T]) peek(hash uint64) *Item[T] {
	if _, there := s.cache.GetTTL(hash); !there {
		return nil
	}
	it, _ := s.cache.Get(hash)
	return it
}

// handOver gives the item to ristretto. It reports false if ristretto's queue is full.
func (s *store[T]) handOver(hash uint64, it *Item[T], at mono.Instant) bool {
	if at >= it.usableUntil(s.retention) {
		s.cache.Del(hash) // the item is of no use, and what it replaces must not be served either
		return true
	}
	if s.costed {
		// Replacing an item in place, ristretto neither makes room for a higher cost nor rejects it.
		if older := s.peek(hash); older != nil && older.Cost < it.Cost {
			s.cache.Del(hash)
		}
	}
	s.counters.entries.Add(1)
	if s.cache.Set(hash, it, it.Cost) {
		return true
	}
	s.counters.entries.Add(-1)
	return false
}
