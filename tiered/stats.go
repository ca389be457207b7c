package tiered

import "sync/atomic"

// Stats counts what a cache did since New, in all its views together. The counters only grow; Entries and Cost are of
// now.
type Stats struct {
	LocalHits   uint64 // reads of a key answered by the local tier, with a value or a remembered absence
	RemoteHits  uint64 // the same of Redis
	Misses      uint64 // reads of a key that neither tier could answer
	Collapsed   uint64 // calls that waited for a load which another call had begun
	Loads       uint64 // calls of a loader; a batch is one
	LoadErrors  uint64 // loads that failed, panicked or took too long; ErrNotFound is no failure
	RedisErrors uint64 // keys whose read from Redis, or write to it, failed or timed out
	CodecErrors uint64 // values that could not be encoded, and bytes in Redis that could not be decoded
	// Entries that the local tier has but that may be older than Redis's, since invalidations are not proved to arrive:
	Bypassed   uint64 // asked for, and not served
	Unverified uint64 // served, since Redis didn't answer; not if RedisOptions.Strict

	Invalidations uint64 // changes of keys and tags that Redis, or another cache, told of

	Evicted  uint64 // entries that left the local tier for want of room
	Rejected uint64 // entries that the local tier found less worth keeping than those it had
	Dropped  uint64 // entries that ristretto's queue was too full for; they are handed over again
	Entries  int64  // in the local tier
	Cost     int64  // of those entries; a new one is counted a moment later
}

type counters struct {
	remoteHits, misses, collapsed, loads, loadErrors, redisErrors, codecErrors, invalidations atomic.Uint64
}

// Stats returns the cache's counters.
func (c *Cache[T]) Stats() Stats {
	s, l := &c.stats, c.local
	return Stats{
		LocalHits:   l.hits(),
		RemoteHits:  s.remoteHits.Load(),
		Misses:      s.misses.Load(),
		Collapsed:   s.collapsed.Load(),
		Loads:       s.loads.Load(),
		LoadErrors:  s.loadErrors.Load(),
		RedisErrors: s.redisErrors.Load(),
		CodecErrors: s.codecErrors.Load(),
		Bypassed:    l.bypassed.Load(),
		Unverified:  l.unverified.Load(),

		Invalidations: s.invalidations.Load(),

		Evicted:  l.evicted.Load(),
		Rejected: l.rejected.Load(),
		Dropped:  l.dropped.Load(),
		Entries:  l.entries.Load(),
		Cost:     l.used(),
	}
}
