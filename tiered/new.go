package tiered

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"reflect"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/invalidation"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/tags"
	"github.com/tiercache/tiercache/tiered/internal/tiers"
	"github.com/tiercache/tiercache/tiered/internal/values"
)

// New returns a new cache, which must be closed after use. It returns an error if an option is invalid, or if the Redis already has
// a cache of this name with another type or codec. With Tracking it has Redis report the changes of this name, which takes one round
// trip to each master, and RedisOptions.Timeout at most.
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
		name:    o.Name,
		redis:   o.Redis,
		seed:    seed,
		local:   l,
		keys:    inflight.New[T, flightState](l),
		tags:    tags.New(nil, false),
		trace:   o.Trace,
		maxKey:  maxRedisKey,
		logger:  o.Logger,
		closed:  make(chan struct{}),
		permits: inflight.NewPermits(o.MaxLoads),
	}
	t.base, t.stop = context.WithCancel(context.Background())
	t.retries = inflight.NewRetries(t.keys)
	t.values = values.Funcs[T]{Codec: o.Codec, Name: name, Cache: o.Name, Schema: values.SchemaOf[T](o.Version), Cost: o.Cost, Clone: o.Clone, Exited: func(err error) {
		t.stats.codecErrors.Add(1)
		t.logUncaught(&t.badValues, "tiered: a goroutine was ended", "", err)
	}}
	if err := t.connect(retention); err != nil {
		t.stop()
		l.Close()
		return nil, err
	}
	return &Cache[T]{core: t, policy: o.Policy, view: view}, nil
}

// connect puts the tiers together, and makes the cache get the events of its Redis.
func (c *core[T]) connect(retention *record.Retention) error {
	if c.redis != nil {
		if err := c.values.Try(); err != nil {
			return err
		}
		conn, trace := c.redis.conn, c.redisTrace()
		c.remote = remote.New(remote.Options[T]{
			Conn: conn, Name: c.name, Values: &c.values, CountErrors: c.stats.countErrors, Report: c.reportValue, Trace: trace,
		})
		c.maxKey -= len(c.remote.Keys.Values)
		store := tags.NewStore(conn, c.name, c.stats.countErrors)
		store.Trace = trace
		c.tags = tags.New(store, c.redis.options.Strict)
		c.keys.OwnEvents = c.redis.options.Invalidation == Tracking
	}
	c.tiers = tiers.New(tiers.Parts[T, flightState]{
		Local: c.local, Remote: c.remote, Keys: c.keys, Tags: c.tags, Values: &c.values, Retention: retention,
		Hash: c.hash, Base: c.base, Life: &c.life, ErrQueued: ErrQueued, Report: c.reportValue,
	})
	c.queue = c.tiers.Queue
	if c.redis == nil {
		return nil
	}
	return c.subscribe()
}

// contents is what all caches of a name have in common.
type contents struct {
	value reflect.Type
	codec string
}

func (k contents) String() string { return fmt.Sprintf("%v in %s", k.value, k.codec) }

// subscribe makes the cache get the events of its Redis. It returns an error if another cache of the name has another type or codec.
func (c *core[T]) subscribe() error {
	c.events = &invalidation.Subscriber{
		KeyChanged: func(rest string) {
			c.stats.invalidations.Add(1)
			c.tiers.Changed(rest)
		},
		Interrupted:    c.tiers.Interrupted,
		BreakerChanged: c.breakerChanged,
		Answered:       c.queue.RetryNow,
	}
	c.lostBefore = c.redis.streams.Lost()
	own := contents{reflect.TypeFor[T](), c.values.Name}
	if present, ok := c.redis.caches.Add(c.name, own, c.events); !ok {
		return fmt.Errorf("tiered: Options.Name is %q, which on this Redis is a cache of %v: want that, or another name for %v", c.name, present, own)
	}
	c.redis.streams.Follow(c.name)
	return nil
}

// breakerChanged handles the circuit breaker of a server: it has opened, or with a nil cause closed.
func (c *core[T]) breakerChanged(addr string, cause error) {
	if cause != nil {
		c.stats.opened.Add(1)
	}
	if c.trace != nil && c.trace.Breaker != nil {
		c.trace.Breaker(addr, cause)
	}
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
	c.retries.Close()
	if c.remote != nil {
		c.remote.Abandon()
	}
	c.life.Wait()
	if lost := c.tiers.Close(); lost > 0 {
		c.logger.LogAttrs(context.Background(), slog.LevelWarn, "tiered: changes that redis didn't take are lost",
			slog.String("cache", c.name), slog.Int("changes", lost))
	}
	c.local.Close()
	if c.remote != nil {
		c.redis.caches.Remove(c.name, c.events)
	}
	return nil
}
