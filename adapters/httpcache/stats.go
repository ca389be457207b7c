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
