package tiered

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/inspect"
	"github.com/tiercache/tiercache/tiered/internal/invalidation"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/tags"
	"github.com/tiercache/tiercache/tiered/internal/tiers"
	"github.com/tiercache/tiercache/tiered/internal/values"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// Cache is a cache of T in two tiers. Its methods may be called from any number of goroutines.
type Cache[T any] struct {
	*core[T]
	policy Policy
	view   record.Policy // what the policy says about records
	wrong  error         // why the policy is invalid after With's edit
}

// core is the state that all views of a cache share.
type core[T any] struct {
	name     string
	redis    *Redis // nil: in-process only
	tiers    *tiers.Tiers[T, flightState]
	seed     maphash.Seed
	values   values.Funcs[T]
	maxKey   int
	trace    *Trace // nil: none
	logger   *slog.Logger
	stats    counters
	absences absences                 // of values in Redis
	events   *invalidation.Subscriber // nil without Redis

	lostBefore uint64 // how often streams were lost before New

	// The parts of tiers:
	local  *local.Tier[T]
	remote *remote.Tier[T] // nil: in-process only
	keys   *keyTable[T]
	tags   *tags.Index
	queue  *writequeue.Queue // nil without Redis

	permits    *inflight.Permits       // of loads
	background redisconn.EventThrottle // for log lines about background loads
	unkept     redisconn.EventThrottle // for log lines about values that aren't stored
	badValues  redisconn.EventThrottle // for log lines about values that can't be encoded or decoded
	badHooks   redisconn.EventThrottle // for log lines about functions of the trace that panicked
	eventLog   inspect.EventLog        // misses and loads, while somebody looks at them

	retries *inflight.Retries[T, flightState]
	life    redisconn.Lifecycle // of the goroutines that load
	base    context.Context     // ends with the cache
	stop    context.CancelFunc
	closed  chan struct{} // closed when Close is done
}

// With returns a view of the cache: the same tiers with another policy. edit changes a copy of the cache's policy; a field that it
// sets to 0 gets its default. If the edited policy is invalid, every method of the view returns that error. This is also the case
// if a shorter TTL leaves the cache's LocalTTL or RefreshAfter too long. Make a view once, at start-up; closing it closes the cache.
//
// Views share entries and loads. An entry has the TTL and NotFoundTTL of the view that stored it: a view with a shorter TTL serves
// the entry for as long as the storing view's TTL allows. A loader that needs another TTL sets e.Policy.TTL. A copy that is read from
// Redis has the LocalTTL of the view that read it. A load has the LoadTimeout of the view that began it; callers with a longer
// LoadTimeout that waited for it in vain load again.
func (c *Cache[T]) With(edit func(*Policy)) *Cache[T] {
	view := *c
	edit(&view.policy)
	if view.wrong == nil {
		view.policy, view.wrong = view.policy.validated()
		view.view = view.policy.ofRecords()
		view.tiers.Retention.Add(&view.view.Windows)
	}
	return &view
}

// hash returns the key's hash, with the cache's seed.
func (c *core[T]) hash(key string) uint64 { return maphash.String(c.seed, key) }

// valueOf returns a record's value to a caller, cloned if the cache has Clone. For an absence it returns ErrNotFound.
func (c *core[T]) valueOf(r *record.Record[T]) (T, error) {
	switch {
	case r.Absent:
		var none T
		return none, ErrNotFound
	case c.values.Clone != nil:
		return c.cloned(r.Value)
	}
	return r.Value, nil
}

// cloned returns a clone of the value for a caller.
func (c *core[T]) cloned(value T) (T, error) {
	clone, err := c.values.Copy(value)
	if err != nil {
		c.stats.codecErrors.Add(1)
		return clone, fmt.Errorf("tiered: %w", err)
	}
	return clone, nil
}

// usable returns an error if the cache is closed or misconfigured, or if a key is invalid. A hit in the local tier needs no such
// check: the local tier has no entries in these cases.
func (c *Cache[T]) usable(keys ...string) error {
	if c.wrong != nil {
		return c.wrong
	}
	if c.life.Closed() {
		return ErrClosed
	}
	for _, key := range keys {
		if key == "" {
			return errEmptyKey
		}
		if len(key) > c.maxKey {
			return fmt.Errorf("tiered: the key has %d bytes: want at most %d", len(key), c.maxKey)
		}
	}
	return nil
}
