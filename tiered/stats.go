package tiered

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// Stats counts the events of a cache since New, in all its views together. The counters only grow. Queued, BreakerOpen, Entries,
// Cost, LoadsRunning and LoadsWaiting are present values.
type Stats struct {
	LocalHits   uint64 // reads of a key answered by the local tier, with a value or a remembered absence
	RemoteHits  uint64 // reads of a key answered by Redis, likewise
	Misses      uint64 // reads of a key that neither tier could answer
	Collapsed   uint64 // calls that waited for what another call had begun: a load, or a read of Redis
	Loads       uint64 // calls of a loader; a batch is one
	LoadErrors  uint64 // loads of this process that failed, panicked or took too long; ErrNotFound is not a failure
	Refreshes   uint64 // keys for which a load in the background was begun
	Shed        uint64 // loads that weren't begun, see ErrOverloaded; a batch is one
	Stale       uint64 // reads served with a value past its TTL
	RedisErrors uint64 // keys, tags and epochs whose read from Redis, or write to it, failed or timed out
	Spared      uint64 // keys not read from or written to Redis because it doesn't answer; not in RedisErrors
	CodecErrors uint64 // values that Codec, Cost or Clone failed on, and bytes in Redis that could not be decoded

	LoadsRunning int // loads that have a permit now, see Options.MaxLoads
	LoadsWaiting int // loads that wait for one now, at most 16 for each permit

	// While it isn't certain that all invalidations arrive, an entry of the local tier may be older than Redis's value:
	Bypassed   uint64 // lookups that found such an entry and didn't use it, so that the value was read from Redis or loaded
	Unverified uint64 // reads served with such an entry, because Redis didn't answer; none if RedisOptions.Strict

	Opened      uint64 // how often Redis, or a master of a Cluster, was no longer asked because it didn't answer
	BreakerOpen bool   // Redis, or a master of a Cluster, isn't asked at present; Redis.Status says why
	StreamLost  uint64 // how often the invalidations of Redis, or of a master of a Cluster, ceased to arrive

	Invalidations uint64 // changes of keys and tags that Redis, or another cache, reported

	Queued   int    // changes that are queued now, see ErrQueued
	Replayed uint64 // queued changes that were replayed

	Evicted  uint64 // entries that left the local tier for lack of room
	Rejected uint64 // entries that the local tier didn't admit, since those it had are worth more
	Dropped  uint64 // entries that didn't fit into ristretto's queue; they are handed over again
	Entries  int64  // in the local tier
	Cost     int64  // of those entries; a new one is counted a moment later
}

// counters are the counters behind Stats that the local tier and the write queue don't have.
type counters struct {
	remoteHits, misses, collapsed, loads, loadErrors, refreshes, shed, stale, redisErrors, codecErrors atomic.Uint64
	invalidations, spared, opened                                                                      atomic.Uint64
}

// countErrors counts the errors of Redis, and the commands that weren't sent to it.
func (s *counters) countErrors(answers []redisconn.Reply) {
	for _, a := range answers {
		switch {
		case a.Err == nil, errors.Is(a.Err, context.Canceled):
		case redisconn.NotSent(a.Err):
			s.spared.Add(1)
		default:
			s.redisErrors.Add(1)
		}
	}
}

// streamLost returns how often the streams of the cache's Redis were lost since New.
func (c *core[T]) streamLost() uint64 {
	if c.redis == nil {
		return 0
	}
	return c.redis.streams.Lost() - c.lostBefore
}

// countShed counts a load of that many keys that isn't begun.
func (s *counters) countShed(keys int) {
	s.shed.Add(1)
	s.misses.Add(uint64(keys))
}

// Stats returns the cache's counters.
func (c *Cache[T]) Stats() Stats {
	s, l := &c.stats, c.local.Stats()
	running, waiting := c.permits.Count()
	return Stats{
		LocalHits:   l.Hits,
		RemoteHits:  s.remoteHits.Load(),
		Misses:      s.misses.Load(),
		Collapsed:   s.collapsed.Load(),
		Loads:       s.loads.Load(),
		LoadErrors:  s.loadErrors.Load(),
		Refreshes:   s.refreshes.Load(),
		Shed:        s.shed.Load(),
		Stale:       s.stale.Load(),
		RedisErrors: s.redisErrors.Load(),
		Spared:      s.spared.Load(),
		CodecErrors: s.codecErrors.Load(),

		LoadsRunning: running,
		LoadsWaiting: waiting,

		Bypassed:    l.Bypassed,
		Unverified:  l.Unverified,
		Opened:      s.opened.Load(),
		BreakerOpen: c.remote != nil && c.remote.Conn.Nodes.AnyOpen(),
		StreamLost:  c.streamLost(),

		Invalidations: s.invalidations.Load(),

		Queued:   c.queue.Len(),
		Replayed: c.queue.Replayed(),

		Evicted:  l.Evicted,
		Rejected: l.Rejected,
		Dropped:  l.Dropped,
		Entries:  l.Entries,
		Cost:     l.Cost,
	}
}

// reportValue counts, traces and logs the error of a value that no caller gets.
func (c *core[T]) reportValue(message, key string, err error) {
	c.stats.codecErrors.Add(1)
	if c.trace != nil && c.trace.CodecError != nil {
		c.trace.CodecError(key, err)
	}
	c.logUncaught(&c.badValues, message, key, err)
}

// logUncaught logs a failure that no caller gets, as often as the throttle permits.
func (c *core[T]) logUncaught(throttle *redisconn.EventThrottle, message, key string, cause error) {
	log, suppressed := throttle.Allow(mono.Now())
	if !log {
		return
	}
	c.logger.LogAttrs(context.Background(), slog.LevelWarn, message, slog.String("cache", c.name),
		slog.String("key", key), slog.Any("cause", cause), slog.Int("suppressed", suppressed))
}
