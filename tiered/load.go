package tiered

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// GetOrLoad returns the cached value, or the one that load gets from the source: from the local tier, else from Redis,
// else loaded once for all callers in this process and stored in both tiers.
//
// It returns [ErrNotFound] for a remembered absence, the loader's error if the load failed, and ctx's error as soon as
// ctx ends: the load goes on for the others and for the cache. If the loader panics it panics with a *[LoaderPanic].
// An error of Redis is a miss, never an error here. A loader may use the cache for other keys; asking for the key that
// it is loading is an error. load may not be nil.
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
	p := new(pilot)
	f, mine := c.guards.join(ctx, key, hash, refresh, p)
	switch {
	case mine && c.life.begin():
		go c.fly(ctx, f, load)
	case mine:
		c.land(f, nil, ErrClosed)
	case f.pilot.within(ctx):
		return none, errOwnKey
	default:
		c.stats.collapsed.Add(1)
	}
	r, err := f.wait(ctx)
	if err != nil {
		return none, err
	}
	return c.give(r)
}

// fly takes a flight from take-off to landing.
func (c *Cache[T]) fly(caller context.Context, f *flight[T], load Loader[T]) {
	mine, landed := false, false
	defer func() {
		thrown := recover()
		if !mine && !f.pilot.lands() {
			return // its time was over first
		}
		if !landed { // a panic or a Goexit, of the loader or of the value's own methods
			c.stats.loadErrors.Add(1)
			c.guards.leave(f)
			f.crash(newCrash(thrown))
		}
		c.life.end()
	}()
	ctx := context.WithoutCancel(caller)
	found, tier := c.look(ctx, f)
	if !f.refresh && found != nil && found.state(now()) != Stale {
		c.land(f, found, nil)
		landed = true
		return
	}
	e := Entry[T]{Key: f.key, Policy: c.policy}
	if found != nil {
		e = found.entry(f.key, c.policy, tier, now())
		e.Value, _ = c.give(found)
	}
	timed, done := c.loadContext(caller, f.pilot, func(err error) { c.land(f, nil, err) })
	defer done()
	c.stats.loads.Add(1)
	value, err := load(timed, &e)
	if mine = f.pilot.lands(); !mine {
		return
	}
	var r *record[T]
	if err = c.loadError(timed, err); err == nil || errors.Is(err, ErrNotFound) {
		r = newRecord(value, err != nil, e.Policy, e.Tags)
	}
	if r != nil && (r.kept() || f.refresh) {
		ch, _ := c.change(ctx, f.hold, r, e.Policy) // the codec's error is counted, and the local tier has the value
		c.keep(ctx, []change[T]{ch})
	}
	c.land(f, r, err)
	landed = true
}

// look looks for the flight's key in the tiers: first in the local one, once more, for a flight may have ended since
// the caller looked.
func (c *Cache[T]) look(ctx context.Context, f *flight[T]) (*record[T], Tier) {
	if it := c.local.get(f.key, f.hash, now()); it != nil {
		return &it.record, Local
	}
	if c.remote == nil {
		c.stats.misses.Add(1)
		return nil, 0
	}
	r := c.remote.read(ctx, f.key, c.policy)
	if r == nil || r.state(now()) == Stale {
		c.stats.misses.Add(1)
		return r, Remote
	}
	c.stats.remoteHits.Add(1)
	if !f.refresh {
		c.fill(f.hold, r)
	}
	return r, Remote
}

// fetch reads the key from Redis into the local tier.
func (c *Cache[T]) fetch(ctx context.Context, key string, hash uint64) (*record[T], error) {
	if err := c.usable(key); err != nil {
		return nil, err
	}
	if c.remote == nil {
		c.stats.misses.Add(1)
		return nil, ErrNotFound
	}
	h := c.guards.hold(key, hash)
	defer c.guards.release(h)
	r := c.remote.read(ctx, key, c.policy)
	if r != nil && r.state(now()) != Stale {
		c.stats.remoteHits.Add(1)
		c.fill(h, r)
		return r, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("tiered: reading from redis: %w", err)
	}
	c.stats.misses.Add(1)
	return nil, ErrNotFound
}

// fill puts a record that Redis had into the local tier.
func (c *Cache[T]) fill(h hold[T], r *record[T]) {
	c.guards.fill(h, c.local.newItem(h.key, h.hash, r, c.policy.localUntil(now(), r.freshUntil)))
}

// loadContext returns the context of a load. If it ends before the load has, abandon is called with the error to land
// its flights with; the load's goroutine then has nothing more to do.
func (c *Cache[T]) loadContext(caller context.Context, p *pilot, abandon func(error)) (context.Context, func()) {
	timed, cancel := context.WithTimeout(c.base, c.policy.LoadTimeout)
	stop := context.AfterFunc(timed, func() {
		if !p.lands() {
			return
		}
		c.stats.loadErrors.Add(1)
		abandon(c.overdue(timed))
		c.life.end()
	})
	return &loadContext{Context: timed, caller: caller, pilot: p}, func() { stop(); cancel() }
}

// loadError is what a load's error is to its callers. It counts the failures.
func (c *Cache[T]) loadError(timed context.Context, err error) error {
	if err == nil || errors.Is(err, ErrNotFound) {
		return err
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

// land ends a flight, whose key then is free for the next.
func (c *Cache[T]) land(f *flight[T], r *record[T], err error) {
	c.guards.leave(f)
	f.land(r, err)
}
