package httpcache

import (
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered"
)

// Stats has a cache's counters since New. They only grow.
type Stats struct {
	Hits        uint64 // requests answered from the store
	Stale       uint64 // answers from the store past their freshness
	Validated   uint64 // stored responses that the handler confirmed
	NotModified uint64 // responses with 304 from the store
	Misses      uint64 // requests that ran the handler, or waited for another request that did
	Collapsed   uint64 // misses answered with the response to another request
	Stored      uint64 // responses passed to the store, except those that were complete too late
	Bypassed    uint64 // requests that bypassed the cache
	Tiers       tiered.Stats
}

type counters struct {
	hits, stale, validated, notModified, misses, collapsed, stored, bypassed atomic.Uint64
}

// Stats returns the cache's counters. In Tiers, a request that misses is counted more than once, since it looks up the response and then
// joins a load. A run of the handler whose response can't replace the stored one, or for which a hit-for-miss is stored,
// is counted as one of the LoadErrors there.
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
