package tiered

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// GetOrLoad returns the cached value, or the one that load gets from the source: from the local tier, else from Redis,
// else loaded once for all callers, of all processes that share the Redis, and stored in both tiers.
//
// It returns [ErrNotFound] for a remembered absence, the loader's error if the load failed, and ctx's error as soon as
// ctx ends: the load goes on for the others and for the cache. If the loader panics it panics with a *[LoaderPanic].
// An error of Redis is a miss, never an error here. A loader may use the cache for other keys, as long as no two loaders
// need each other's: they would wait until LoadTimeout. Asking for the key that it is loading is an error. load may not be nil.
func (c *Cache[T]) GetOrLoad(ctx context.Context, key string, load Loader[T]) (T, error) {
	if load == nil || c.wrong != nil {
		var none T
		return none, cmp.Or(c.wrong, errNoLoader)
	}
	hash := c.hash(key)
	if it := c.local.get(key, hash, now()); it != nil {
		return c.give(&it.record)
	}
	return c.load(ctx, key, hash, load, false)
}

// Refresh loads the value even if there is one, which the loader gets as e.Value, and stores it in both tiers. Callers
// that refresh a key at the same time share one load; a load that GetOrLoad began earlier is superseded. If the source
// has none any more the cached value is removed; if the load fails it stays. Errors are those of GetOrLoad.
func (c *Cache[T]) Refresh(ctx context.Context, key string, load Loader[T]) (T, error) {
	if load == nil || c.wrong != nil {
		var none T
		return none, cmp.Or(c.wrong, errNoLoader)
	}
	return c.load(ctx, key, c.hash(key), load, true)
}

// load waits for the key's flight, which it begins if there is none.
func (c *Cache[T]) load(ctx context.Context, key string, hash uint64, load Loader[T], refresh bool) (none T, err error) {
	if err := c.usable(key); err != nil {
		return none, err
	}
	invalidated := c.tags.own.Load()
	for {
		p := new(pilot)
		f, mine := c.guards.join(ctx, key, hash, refresh, p)
		switch {
		case mine:
			c.takeOff(ctx, p, []*flight[T]{f}, func(ctx context.Context, claims []*claim[T]) error {
				return c.loadOne(ctx, claims[0], load)
			})
		case f.pilot.within(ctx):
			return none, errOwnKey
		default:
			c.stats.collapsed.Add(1)
		}
		r, err := f.wait(ctx)
		if err != nil && f.refresh && !refresh && ctx.Err() == nil {
			continue // a Refresh failed; what it was to replace may be there
		}
		if err != nil {
			return none, err
		}
		if !mine && f.began < invalidated && len(r.tags) > 0 {
			continue // this process may have invalidated it between the flight's begin and this call's
		}
		return c.give(r)
	}
}

func (c *Cache[T]) loadOne(ctx context.Context, cl *claim[T], load Loader[T]) error {
	e := Entry[T]{Key: cl.flight.key, Policy: c.policy}
	if r := cl.finding.record; r != nil {
		e = r.entry(cl.flight.key, c.policy, cl.tier, now())
		e.Value, _ = c.give(r)
	}
	value, err := load(ctx, &e)
	if err == nil || errors.Is(err, ErrNotFound) {
		cl.policy, cl.err = e.Policy, err
		cl.result = newRecord(value, err != nil, e.Policy, cl.stamp.marks(e.Tags))
		err = nil
	}
	return err
}

// consult reads the keys from Redis, and finds out what of it is valid.
func (c *Cache[T]) consult(ctx context.Context, holds []hold[T]) []finding[T] {
	findings := c.remote.read(ctx, holds, c.policy)
	all, framed := make([]*marks, len(holds)), false
	for i := range findings {
		f := &findings[i]
		switch {
		case f.record == nil:
		case f.framed():
			all[i], framed = &f.record.marks, true
		default:
			f.bonds = &bonds{proof: f.proof, stream: f.stream}
		}
	}
	if !framed {
		return findings
	}
	bound, errs := c.tags.bind(ctx, all)
	for i := range findings {
		f := &findings[i]
		switch {
		case all[i] == nil:
		case errs[i] != nil:
			f.err = errs[i]
		case bound[i] == nil:
			f.record, f.vacant = nil, true
		default:
			f.bonds = bound[i]
			f.bonds.proof, f.bonds.stream = f.proof, f.stream
		}
	}
	return findings
}

// served is what a read gets: a record and where it was; nil: it isn't there, or not fresh.
type served[T any] struct {
	record *record[T]
	tier   Tier
}

// fetch reads the held keys from the second tier into the first. Where that can't be asked the first has to do.
func (c *Cache[T]) fetch(ctx context.Context, holds []hold[T]) []served[T] {
	got := make([]served[T], len(holds))
	for i, f := range c.consult(ctx, holds) {
		switch {
		case unanswered(f.err) && ctx.Err() == nil:
			if it := c.local.fallback(holds[i].key, holds[i].hash); it != nil {
				got[i] = served[T]{&it.record, Local}
				continue
			}
		case f.fresh():
			got[i] = served[T]{f.record, Remote}
			c.stats.remoteHits.Add(1)
			c.fill(holds[i], f)
			continue
		}
		if ctx.Err() == nil {
			c.stats.misses.Add(1)
		}
	}
	return got
}

// fresh answers whether what was found can be served.
func (f *finding[T]) fresh() bool {
	return f.err == nil && f.record != nil && f.record.state(now()) != Stale
}

// fill puts what Redis had into the local tier.
func (c *Cache[T]) fill(h hold[T], f finding[T]) {
	c.guards.fill(h, c.local.newItem(h.key, h.hash, f.record, *f.bonds, c.policy.localUntil(now(), f.record.freshUntil)))
}

// fetchOne is fetch for one key that a caller asks for.
func (c *Cache[T]) fetchOne(ctx context.Context, key string, hash uint64) (served[T], error) {
	if err := c.usable(key); err != nil {
		return served[T]{}, err
	}
	if c.remote == nil {
		c.stats.misses.Add(1)
		return served[T]{}, ErrNotFound
	}
	h := c.guards.hold(key, hash)
	defer c.guards.release(h)
	if got := c.fetch(ctx, []hold[T]{h})[0]; got.record != nil {
		return got, nil
	}
	if err := ctx.Err(); err != nil {
		return served[T]{}, fmt.Errorf("tiered: reading from redis: %w", err)
	}
	return served[T]{}, ErrNotFound
}

// land ends a flight, whose key then is free for the next.
func (c *Cache[T]) land(f *flight[T], r *record[T], err error) {
	c.guards.leave(f)
	f.land(r, err)
}

// loadError is what a load's error is to its callers. It counts the failures.
func (c *Cache[T]) loadError(timed context.Context, err error) error {
	if err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	c.stats.loadErrors.Add(1)
	if timed.Err() != nil && errors.Is(err, timed.Err()) {
		return c.overdue(timed) // the loader gave up because its time was over
	}
	return err
}

// overdue is the error of a load whose context ended.
func (c *Cache[T]) overdue(timed context.Context) error {
	if c.life.isOver() {
		return ErrClosed
	}
	return fmt.Errorf("tiered: the load took longer than LoadTimeout (%v): %w", c.policy.LoadTimeout, timed.Err())
}
