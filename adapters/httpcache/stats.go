package httpcache

import (
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered"
)

// Stats counts what a cache did since New. The counters only grow.
type Stats struct {
	Hits        uint64 // requests answered from the store
	Stale       uint64 // answers from the store past their freshness
	Validated   uint64 // stored responses of which the handler said that they hold
	NotModified uint64 // answers of 304 from the store
	Misses      uint64 // requests that had to go to the handler, or to wait for one that was there
	Collapsed   uint64 // misses answered with the response to another request
	Stored      uint64 // responses handed to the store; not those that were ready too late for it
	Bypassed    uint64 // requests that the cache had no part in
	Tiers       tiered.Stats
}

type counters struct {
	hits, stale, validated, notModified, misses, collapsed, stored, bypassed atomic.Uint64
}

// Stats returns the cache's counters. In Tiers, a request that misses counts more than once: it looks, and then waits for its
// turn. A run of the handler that leaves what is stored as it is, for a reload's response can't be stored or it is
// remembered that none can, counts as one of the LoadErrors there.
func (c *Cache) Stats() Stats {
	s := &c.stats
	return Stats{
		Hits:        s.hits.Load(),
		Stale:       s.stale.Load(),
		Validated:   s.validated.Load(),
		NotModified: s.notModified.Load(),
		Misses:      s.misses.Load(),
		Collapsed:   s.collapsed.Load(),
		Stored:      s.stored.Load(),
		Bypassed:    s.bypassed.Load(),
		Tiers:       c.store.Stats(),
	}
}
