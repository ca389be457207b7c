package tiered

import (
	"context"
	"hash/maphash"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/tags"
	"github.com/tiercache/tiercache/tiered/internal/values"
)

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
	view := o.Policy.ofRecords()
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
		permits:   inflight.NewPermits(o.MaxLoads),
	}
	t.retries = retries[T]{keys: t.keys, life: &t.life}
	t.values = values.Funcs[T]{Codec: o.Codec, Name: name, Cache: o.Name, Schema: values.SchemaOf[T](o.Version), Cost: o.Cost, Clone: o.Clone, Exited: func(err error) {
		t.stats.codecErrors.Add(1)
		t.logUncaught(&t.badValues, "tiered: a goroutine was ended", "", err)
	}}
	if o.Redis != nil {
		if err := t.values.Try(); err != nil {
			l.Close()
			return nil, err
		}
		trace := t.redisTrace()
		t.remote = remote.New(remote.Options[T]{
			Conn: o.Redis.conn, Name: o.Name, Values: &t.values, CountErrors: t.stats.countErrors, Report: t.reportValue, Trace: trace,
		})
		t.maxKey -= len(t.remote.Keys.Values)
		store := tags.NewStore(o.Redis.conn, o.Name, t.stats.countErrors)
		store.Trace = trace
		t.tags = tags.New(store, o.Redis.options.Strict)
		t.queue = t.newQueue()
		t.keys.OwnEvents = o.Redis.options.Invalidation == Tracking
		if err := t.subscribe(); err != nil {
			l.Close()
			return nil, err
		}
	}
	t.base, t.stop = context.WithCancel(context.Background())
	return &Cache[T]{core: t, policy: o.Policy, view: view}, nil
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
		c.closeQueue()
	}
	c.local.Close()
	if c.remote != nil {
		c.redis.caches.Remove(c.name, c.events)
	}
	return nil
}
