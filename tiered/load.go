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
	f, mine := c.guards.join(key, hash, refresh, p)
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
			c.crash(f, thrown)
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
	r, err := c.outcome(value, err, e.Policy, e.Tags)
	if r != nil && (r.kept() || f.refresh) {
		c.keep(ctx, []change[T]{c.loaded(ctx, f.hold, r, e.Policy)})
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

// loadContext returns the context of a load. If it ends before the load has, abandon is called with the error to land
// its flights with; the load's goroutine then has nothing more to do.
func (c *Cache[T]) loadContext(caller context.Context, p *pilot, abandon func(error)) (context.Context, func()) {
	timed, cancel := context.WithTimeout(c.base, c.policy.LoadTimeout)
	stop := context.AfterFunc(timed, func() {
		if !p.lands() {
			return
		}
		c.stats.loadErrors.Add(1)
		if c.life.isOver() {
			abandon(ErrClosed)
		} else {
			abandon(fmt.Errorf("tiered: the load took longer than LoadTimeout (%v): %w", c.policy.LoadTimeout, timed.Err()))
		}
		c.life.end()
	})
	return &loadContext{Context: timed, caller: caller, pilot: p}, func() { stop(); cancel() }
}

// outcome is what a loader's result means: a record, of an absence too, or none and the error to hand on.
func (c *Cache[T]) outcome(value T, err error, p Policy, tags []string) (*record[T], error) {
	if err != nil && !errors.Is(err, ErrNotFound) {
		c.stats.loadErrors.Add(1)
		return nil, err
	}
	return newRecord(value, err != nil, p, tags), err
}

// land ends a flight, whose key then is free for the next.
func (c *Cache[T]) land(f *flight[T], r *record[T], err error) {
	c.guards.leave(f)
	f.land(r, err)
}

func (c *Cache[T]) crash(f *flight[T], thrown any) {
	c.stats.loadErrors.Add(1)
	c.guards.leave(f)
	f.crash(thrown)
}
