package tiered

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"reflect"

	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Cache is a cache of T in two tiers. Its methods may be called from any number of goroutines.
type Cache[T any] struct {
	*core[T]
	policy  Policy
	windows wire.Windows // of the policy
	wrong   error        // what With's edit made of the policy
}

// core is what all views of a cache share.
type core[T any] struct {
	name      string
	redis     *Redis // nil: in-process only
	seed      maphash.Seed
	local     *local.Tier[T]
	remote    *remote[T] // nil: in-process only
	keys      *keyTable[T]
	tags      *tagIndex
	retention *record.Retention // by the windows of all views
	queue     *writeQueue       // nil without Redis
	values    values[T]
	maxKey    int
	trace     *Trace // nil: none
	logger    *slog.Logger
	stats     counters

	renewals   chan struct{}           // of loads in the background, one each
	background redisconn.EventThrottle // about loads in the background
	unkept     redisconn.EventThrottle // about values that aren't stored

	loads  loads               // under way
	life   redisconn.Lifecycle // of the goroutines that load
	base   context.Context     // ends with the cache
	stop   context.CancelFunc
	closed chan struct{} // once Close is done
}

// New makes a cache. It fails if an option is wrong, and if the Redis already has a cache of this name with another
// type or codec. The cache must be closed.
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
	windows := o.Policy.windows()
	retention.Add(&windows)
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
		keys:      newKeyTable(l),
		tags:      newTagIndex(nil),
		retention: retention,
		trace:     o.Trace,
		maxKey:    maxRedisKey,
		logger:    o.Logger,
		closed:    make(chan struct{}),

		renewals: make(chan struct{}, maxRenewals),
	}
	t.values = values[T]{codec: o.Codec, name: name, cost: o.Cost, clone: o.Clone, cache: o.Name, stats: &t.stats, trace: o.Trace, logger: o.Logger}
	if o.Redis != nil {
		if err := t.values.trial(); err != nil {
			l.Close()
			return nil, err
		}
		t.remote = newRemote(o.Redis.conn, o.Name, &t.values)
		t.maxKey -= len(t.remote.keys.Values)
		t.tags = newTagIndex(newTagStore(o.Redis.conn, o.Name, t.stats.countErrors))
		t.queue = newWriteQueue(o.Redis.conn, t.startReplayer, o.Trace)
		t.tags.strict = o.Redis.options.Strict
		t.keys.echoes = o.Redis.options.Invalidation == Tracking
		if err := o.Redis.admit(o.Name, reflect.TypeFor[T](), t.values.name, t); err != nil {
			l.Close()
			return nil, err
		}
	}
	t.base, t.stop = context.WithCancel(context.Background())
	return &Cache[T]{core: t, policy: o.Policy, windows: windows}, nil
}

// With returns a view of the cache: the same tiers under another policy. edit gets the cache's policy to change; a field
// it sets to 0 has its default. If edit makes the policy wrong, every method of the view returns that error: so it does if a
// shorter TTL leaves the cache's LocalTTL or RefreshAfter too long. A view is
// made once, at start-up; closing it closes the cache.
//
// Views share entries and loads. TTL, LocalTTL and NotFoundTTL are those of the view that stores an entry: a view whose TTL is
// shorter serves what another stored for as long as that one lets it, and a loader that wants it otherwise sets e.Policy.TTL. A load
// has the LoadTimeout of the view that began it. Callers whose LoadTimeout is longer, and who waited for it in vain, load again.
func (c *Cache[T]) With(edit func(*Policy)) *Cache[T] {
	view := *c
	edit(&view.policy)
	if view.wrong == nil {
		view.policy, view.wrong = view.policy.validated()
		view.windows = view.policy.windows()
		view.retention.Add(&view.windows)
	}
	return &view
}

// Close ends the loads under way, whose callers get [ErrClosed], and waits until what they were storing is stored. A
// loader that doesn't heed its context outlives Close; what it returns is dropped. For changes that are still queued
// ([ErrQueued]) it makes one attempt, which takes no longer than RedisOptions.Timeout; the Logger is told of what is lost.
// Where Redis doesn't answer, Close takes four times that Timeout at most, whatever the client's own timeouts are, and less
// after [Redis].Close or when the client is closed. Later calls wait for the first.
func (c *Cache[T]) Close() error {
	if !c.life.Close() {
		<-c.closed
		return nil
	}
	defer close(c.closed)
	c.stop()
	c.loads.close()
	if c.remote != nil {
		c.remote.abandon()
	}
	c.life.Wait()
	if c.remote != nil {
		c.lastReplay()
	}
	c.local.Close()
	if c.remote != nil {
		c.redis.dismiss(c.name, c.core)
	}
	return nil
}

// Get returns the cached value, if it is fresh: without a loader there is nothing that would replace a stale one. It returns
// [ErrNotFound] on a miss and for a remembered absence, and the context's error if that ends while Redis is asked.
func (c *Cache[T]) Get(ctx context.Context, key string) (T, error) {
	var none T
	if c.wrong != nil {
		return none, c.wrong
	}
	hash := c.hash(key)
	if it, _ := c.local.Get(key, hash, mono.Now(), nil); it != nil {
		return c.give(&it.Record)
	}
	got, err := c.fetchOne(ctx, key, hash, record.RefreshDue)
	if err != nil {
		return none, err
	}
	return c.give(got.record)
}

// Lookup returns the cached entry with its age, tier and state, which is Stale for one that only the [Policy]'s
// StaleWhileRevalidate or StaleIfError lets GetOrLoad serve. It returns [ErrNotFound] on a miss, with the zero
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
	e.Value, err = c.give(got.record)
	return e, err
}

func (t *core[T]) hash(key string) uint64 { return maphash.String(t.seed, key) }

// give hands a record's value out.
func (t *core[T]) give(r *record.Record[T]) (T, error) {
	switch {
	case r.Absent:
		var none T
		return none, ErrNotFound
	case t.values.clone != nil:
		return t.cloned(r.Value)
	}
	return r.Value, nil
}

// cloned returns a clone for a caller.
func (t *core[T]) cloned(value T) (T, error) {
	clone, err := t.values.copy(value)
	if err != nil {
		return clone, t.values.failed(fmt.Errorf("tiered: %w", err))
	}
	return clone, nil
}

// usable answers why the cache can't be asked for the keys, if it can't. A hit needs no such check: what isn't usable is
// not in the local tier.
func (c *Cache[T]) usable(keys ...string) error {
	if c.wrong != nil {
		return c.wrong
	}
	if c.life.Over() {
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

// heard takes in what Redis told of: a change of a key, which is the cache's own name cut off.
func (t *core[T]) heard(rest string) {
	t.stats.invalidations.Add(1)
	switch kind, of := wire.ParseRest(rest); kind {
	case wire.ValueKey:
		t.keys.invalidated(of, t.hash(of))
	case wire.LeaseKey:
		t.keys.wake(of, t.hash(of))
	case wire.TagKey:
		t.tags.tagChanged(of)
	case wire.EpochKey:
		t.tags.epochChanged()
	case wire.SeqKey:
		t.tags.seqChanged()
	}
}

// interrupted wakes who waits for a change that may have gone unheard, and has dropped what is being read. What is cached
// and known needs nothing: its validities have ended.
func (t *core[T]) interrupted() {
	t.tags.interrupted()
	t.keys.interrupted()
}

// switched takes in that a server isn't asked any more, or with a nil cause that it is again.
func (t *core[T]) switched(addr string, cause error) {
	if cause != nil {
		t.stats.opened.Add(1)
	}
	if t.trace != nil && t.trace.Breaker != nil {
		t.trace.Breaker(addr, cause)
	}
}
