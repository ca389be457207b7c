package tiered

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"reflect"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/tags"
	"github.com/tiercache/tiercache/tiered/internal/values"
	"github.com/tiercache/tiercache/tiered/internal/wire"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// Cache is a cache of T in two tiers. Its methods may be called from any number of goroutines.
type Cache[T any] struct {
	*core[T]
	policy Policy
	view   remote.View // what the policy says about values that are read
	wrong  error       // why the policy is invalid after With's edit
}

// core is the state that all views of a cache share.
type core[T any] struct {
	name      string
	redis     *Redis // nil: in-process only
	seed      maphash.Seed
	local     *local.Tier[T]
	remote    *remote.Tier[T] // nil: in-process only
	keys      *keyTable[T]
	tags      *tags.Index
	retention *record.Retention // from the windows of all views
	queue     *writequeue.Queue // nil without Redis
	values    values.Funcs[T]
	maxKey    int
	trace     *Trace // nil: none
	logger    *slog.Logger
	stats     counters

	renewals   chan struct{}           // holds one element for each background load
	background redisconn.EventThrottle // for log lines about background loads
	unkept     redisconn.EventThrottle // for log lines about values that aren't stored
	badValues  redisconn.EventThrottle // for log lines about values that can't be encoded or decoded

	retries retries[T]
	life    redisconn.Lifecycle // of the goroutines that load, and of the timers of retries
	base    context.Context     // ends with the cache
	stop    context.CancelFunc
	closed  chan struct{} // closed when Close is done
}

// New returns a new cache, which must be closed after use. It returns an error if an option is invalid, or if the Redis already has
// a cache of this name with another type or codec.
func New[T any](o Options[T]) (*Cache[T], error) {
	o, err := o.validated()
	if err != nil {
		return nil, err
	}
	name, err := codecName(o.Codec)
	if err != nil {
		return nil, err
	}
	seed := maphash.MakeSeed()
	retention := new(record.Retention)
	view := o.Policy.view()
	retention.Add(&view.Windows)
	l, err := local.New[T](local.Options{
		MaxCost:   o.MaxCost,
		Costed:    o.Cost != nil,
		Strict:    o.Redis != nil && o.Redis.options.Strict,
		Retention: retention,
		Hash:      func(key string) uint64 { return maphash.String(seed, key) },
	})
	if err != nil {
		return nil, err
	}
	t := &core[T]{
		name:      o.Name,
		redis:     o.Redis,
		seed:      seed,
		local:     l,
		keys:      inflight.New[T, flightState[T]](l),
		tags:      tags.New(nil, false),
		retention: retention,
		trace:     o.Trace,
		maxKey:    maxRedisKey,
		logger:    o.Logger,
		closed:    make(chan struct{}),

		renewals: make(chan struct{}, maxRenewals),
	}
	t.retries = retries[T]{keys: t.keys, life: &t.life}
	t.values = values.Funcs[T]{Codec: o.Codec, Name: name, Cost: o.Cost, Clone: o.Clone, Exited: func(err error) {
		t.stats.codecErrors.Add(1)
		t.logUncaught(&t.badValues, "tiered: a goroutine was ended", "", err)
	}}
	if o.Redis != nil {
		if err := t.values.Try(); err != nil {
			l.Close()
			return nil, err
		}
		t.remote = remote.New(remote.Options[T]{Conn: o.Redis.conn, Name: o.Name, Values: &t.values, CountErrors: t.stats.countErrors, Report: t.reportValue})
		t.maxKey -= len(t.remote.Keys.Values)
		t.tags = tags.New(tags.NewStore(o.Redis.conn, o.Name, t.stats.countErrors), o.Redis.options.Strict)
		t.queue = t.newQueue()
		t.keys.OwnEvents = o.Redis.options.Invalidation == Tracking
		if err := o.Redis.register(o.Name, reflect.TypeFor[T](), t.values.Name, t); err != nil {
			l.Close()
			return nil, err
		}
	}
	t.base, t.stop = context.WithCancel(context.Background())
	return &Cache[T]{core: t, policy: o.Policy, view: view}, nil
}

// With returns a view of the cache: the same tiers with another policy. edit changes a copy of the cache's policy; a field that it
// sets to 0 gets its default. If the edited policy is invalid, every method of the view returns that error. This is also the case
// if a shorter TTL leaves the cache's LocalTTL or RefreshAfter too long. Make a view once, at start-up; closing it closes the cache.
//
// Views share entries and loads. An entry has the TTL, LocalTTL and NotFoundTTL of the view that stored it: a view with a shorter
// TTL serves the entry for as long as the storing view's TTL allows. A loader that needs another TTL sets e.Policy.TTL. A load has
// the LoadTimeout of the view that began it; callers with a longer LoadTimeout that waited for it in vain load again.
func (c *Cache[T]) With(edit func(*Policy)) *Cache[T] {
	view := *c
	edit(&view.policy)
	if view.wrong == nil {
		view.policy, view.wrong = view.policy.validated()
		view.view = view.policy.view()
		view.retention.Add(&view.view.Windows)
	}
	return &view
}

// Close ends the running loads, whose callers get [ErrClosed], and waits for the values that are being stored. A loader that
// ignores its context may run on after Close; its result is dropped. Close makes one attempt to apply the changes that are still
// queued ([ErrQueued]), which takes no longer than RedisOptions.Timeout, and logs those that are lost to the Logger. If Redis
// doesn't answer, Close takes at most four times that Timeout, whatever the client's own timeouts are, and less after
// [Redis].Close or when the client is closed. Later calls wait for the first.
func (c *Cache[T]) Close() error {
	if !c.life.Close() {
		<-c.closed
		return nil
	}
	defer close(c.closed)
	c.stop()
	c.retries.close()
	if c.remote != nil {
		c.remote.Abandon()
	}
	c.life.Wait()
	if c.remote != nil {
		c.lastReplay()
	}
	c.local.Close()
	if c.remote != nil {
		c.redis.unregister(c.name, c.core)
	}
	return nil
}

// Get returns the cached value if it is fresh. It doesn't serve a stale value, since it has no loader that would replace it. It
// returns [ErrNotFound] on a miss and for a remembered absence, and the context's error if ctx ends while Redis is read.
func (c *Cache[T]) Get(ctx context.Context, key string) (T, error) {
	var none T
	if c.wrong != nil {
		return none, c.wrong
	}
	hash := c.hash(key)
	if it, _ := c.local.Get(key, hash, mono.Now(), nil); it != nil {
		return c.valueOf(&it.Record)
	}
	got, err := c.fetchOne(ctx, key, hash, record.RefreshDue)
	if err != nil {
		return none, err
	}
	return c.valueOf(got.record)
}

// Lookup returns the cached entry with its age, tier and state. The state is Stale for an entry that GetOrLoad may serve only under
// the [Policy]'s StaleWhileRevalidate or StaleIfError. It returns [ErrNotFound] on a miss, with the zero
// Entry, and for a remembered absence, with an Entry in the state NotFound.
func (c *Cache[T]) Lookup(ctx context.Context, key string) (Entry[T], error) {
	if c.wrong != nil {
		return Entry[T]{}, c.wrong
	}
	hash, at := c.hash(key), mono.Now()
	var got hit[T]
	if it, _ := c.local.Get(key, hash, at, nil); it != nil {
		got = hit[T]{record: &it.Record, tier: Local, key: it.Key}
	} else {
		var err error
		if got, err = c.fetchOne(ctx, key, hash, record.IfError); err != nil {
			return Entry[T]{}, err
		}
		at = mono.Now()
	}
	e := entryOf(got.record, got.key, c.policy, got.tier, at)
	var err error
	e.Value, err = c.valueOf(got.record)
	return e, err
}

// hash returns the key's hash, with the cache's seed.
func (t *core[T]) hash(key string) uint64 { return maphash.String(t.seed, key) }

// valueOf returns a record's value to a caller, cloned if the cache has Clone. For an absence it returns ErrNotFound.
func (t *core[T]) valueOf(r *record.Record[T]) (T, error) {
	switch {
	case r.Absent:
		var none T
		return none, ErrNotFound
	case t.values.Clone != nil:
		return t.cloned(r.Value)
	}
	return r.Value, nil
}

// cloned returns a clone of the value for a caller.
func (t *core[T]) cloned(value T) (T, error) {
	clone, err := t.values.Copy(value)
	if err != nil {
		t.stats.codecErrors.Add(1)
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

// keyChanged handles a change of a key that Redis reports. rest is the key without the cache's prefix.
func (t *core[T]) keyChanged(rest string) {
	t.stats.invalidations.Add(1)
	switch kind, of := wire.ParseRest(rest); kind {
	case wire.ValueKey:
		t.keys.Changed(of, t.hash(of))
	case wire.LeaseKey:
		t.keys.Wake(of, t.hash(of))
	case wire.TagKey:
		t.tags.TagChanged(of)
	case wire.EpochKey:
		t.tags.EpochChanged()
	case wire.SeqKey:
		t.tags.SeqChanged()
	}
}

// released handles the release of a key's lease by this process.
func (t *core[T]) released(key string) { t.keys.Released(key, t.hash(key)) }

// interrupted handles a gap in Redis's reports of changes. It wakes the jobs that wait for a change, and drops the results of reads
// in progress. Cached records need no action: their validities have ended.
func (t *core[T]) interrupted() {
	t.tags.Interrupted()
	t.keys.Interrupted()
}

// breakerChanged handles the circuit breaker of a server: it has opened, or with a nil cause closed.
func (t *core[T]) breakerChanged(addr string, cause error) {
	if cause != nil {
		t.stats.opened.Add(1)
	}
	if t.trace != nil && t.trace.Breaker != nil {
		t.trace.Breaker(addr, cause)
	}
}
