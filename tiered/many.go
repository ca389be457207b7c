package tiered

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// GetMany returns the cached values by key; those that are not cached, or are remembered as absent, are left out. It
// asks Redis in one round trip (per node of a Cluster). If ctx ends meanwhile it returns what it has, and the context's
// error.
func (c *Cache[T]) GetMany(ctx context.Context, keys ...string) (map[string]T, error) {
	if err := c.usable(keys...); err != nil {
		return nil, err
	}
	values := make(map[string]T, len(keys))
	missing := make(map[string]uint64)
	at := now()
	for _, key := range keys {
		hash := c.hash(key)
		if it := c.local.get(key, hash, at); it == nil {
			missing[key] = hash
		} else if v, err := c.give(&it.record); err == nil {
			values[key] = v
		}
	}
	if c.remote == nil || len(missing) == 0 {
		c.stats.misses.Add(uint64(len(missing)))
		return values, nil
	}
	holds := make([]hold[T], 0, len(missing))
	for key, hash := range missing {
		holds = append(holds, c.guards.hold(key, hash))
	}
	defer func() {
		for _, h := range holds {
			c.guards.release(h)
		}
	}()
	for i, r := range c.fetchMany(ctx, holds) {
		if r == nil {
			continue
		}
		if v, err := c.give(r); err == nil {
			values[holds[i].key] = v
		}
	}
	if err := ctx.Err(); err != nil {
		return values, fmt.Errorf("tiered: reading from redis: %w", err)
	}
	return values, nil
}

// fetchMany reads the held keys from Redis into the local tier. What isn't there, or not fresh, is nil.
func (c *Cache[T]) fetchMany(ctx context.Context, holds []hold[T]) []*record[T] {
	records := c.remote.readMany(ctx, holds, c.policy)
	at := now()
	for i, r := range records {
		if r == nil || r.state(at) == Stale {
			records[i] = nil
			c.stats.misses.Add(1)
			continue
		}
		c.stats.remoteHits.Add(1)
		c.fill(holds[i], r)
	}
	return records
}

// GetOrLoadMany returns the cached values of the ids, and loads the missing ones with one call of load, which gets only
// those ids that nothing else in this process is loading already; for the others it waits. Redis is read in one round
// trip, and written in one (per node of a Cluster). key makes an id's cache key; ids with the same key have the same
// value.
//
// Ids that load leaves out of its map don't exist: they are left out here too, and remembered for
// [Policy].NotFoundTTL. If load fails, what was found is returned with its error; values that it returned beside the
// error count. Contexts, panics, and what a loader may do are as in GetOrLoad. It is a function because a method can't
// have the type parameter K.
func GetOrLoadMany[K comparable, T any](ctx context.Context, c *Cache[T], ids []K,
	key func(K) string, load func(context.Context, []K) (map[K]T, error)) (map[K]T, error) {
	switch {
	case c.wrong != nil:
		return nil, c.wrong
	case load == nil:
		return nil, errNoLoader
	case key == nil:
		return nil, errNoKey
	}
	b, err := newBatch(c, ids, key)
	if err != nil || len(b.seats) == 0 {
		return b.values, err
	}
	b.load = load
	return b.run(ctx)
}

// batch is one call of GetOrLoadMany.
type batch[K comparable, T any] struct {
	cache  *Cache[T]
	load   func(context.Context, []K) (map[K]T, error)
	values map[K]T      // found
	seats  []seat[K, T] // one for each id that the local tier doesn't have
	pilot  *pilot       // of the flights that the batch begins
}

// seat is an id and the flight that its value comes with.
type seat[K comparable, T any] struct {
	id     K
	key    string
	hash   uint64
	flight *flight[T]
}

// newBatch looks the ids up in the local tier.
func newBatch[K comparable, T any](c *Cache[T], ids []K, key func(K) string) (*batch[K, T], error) {
	b := &batch[K, T]{cache: c, values: make(map[K]T, len(ids)), pilot: new(pilot)}
	if c.life.isOver() {
		return b, ErrClosed
	}
	seen := make(map[K]struct{})
	at := now()
	for _, id := range ids {
		k := key(id)
		hash := c.hash(k)
		if it := c.local.get(k, hash, at); it != nil {
			if v, err := c.give(&it.record); err == nil {
				b.values[id] = v
			}
			continue
		}
		if err := c.usable(k); err != nil {
			return b, err
		}
		if _, twice := seen[id]; !twice {
			seen[id] = struct{}{}
			b.seats = append(b.seats, seat[K, T]{id: id, key: k, hash: hash})
		}
	}
	return b, nil
}

// run puts every seat on a flight, sees to those that are the batch's own, and waits for them all.
func (b *batch[K, T]) run(ctx context.Context) (map[K]T, error) {
	c := b.cache
	var own []seat[K, T]
	var firstErr error
	waiting := b.seats[:0]
	for _, s := range b.seats {
		var mine bool
		s.flight, mine = c.guards.join(ctx, s.key, s.hash, false, b.pilot)
		switch {
		case mine:
			own = append(own, s)
		case s.flight.pilot.within(ctx):
			firstErr = cmp.Or(firstErr, errOwnKey)
			continue
		case s.flight.pilot != b.pilot:
			c.stats.collapsed.Add(1)
		}
		waiting = append(waiting, s)
	}
	if len(own) > 0 {
		if c.life.begin() {
			go b.fly(ctx, own)
		} else {
			b.fail(own, ErrClosed)
		}
	}
	for _, s := range waiting {
		r, err := s.flight.wait(ctx)
		if err == nil {
			if v, err := c.give(r); err == nil {
				b.values[s.id] = v
			}
		} else if !errors.Is(err, ErrNotFound) {
			firstErr = cmp.Or(firstErr, err)
		}
	}
	return b.values, firstErr
}

// fly takes the batch's own flights from take-off to landing, as Cache.fly does one.
func (b *batch[K, T]) fly(caller context.Context, own []seat[K, T]) {
	c, mine := b.cache, false
	defer func() {
		thrown := recover()
		if !mine && !b.pilot.lands() {
			return
		}
		own = slices.DeleteFunc(own, func(s seat[K, T]) bool { return s.flight.landed() })
		if len(own) > 0 {
			c.stats.loadErrors.Add(1)
			crash := newCrash(thrown)
			b.land(own, func(s seat[K, T]) { s.flight.crash(crash) })
		}
		c.life.end()
	}()
	ctx := context.WithoutCancel(caller)
	if own = b.look(ctx, own); len(own) == 0 {
		return
	}
	ids := make([]K, len(own))
	for i, s := range own {
		ids[i] = s.id
	}
	timed, done := c.loadContext(caller, b.pilot, func(err error) { b.fail(own, err) })
	defer done()
	c.stats.loads.Add(1)
	values, err := b.load(timed, ids)
	if mine = b.pilot.lands(); mine {
		b.arrive(ctx, own, values, c.loadError(timed, err))
	}
}

// look lands what the tiers have, and returns the seats of what they don't.
func (b *batch[K, T]) look(ctx context.Context, own []seat[K, T]) (missing []seat[K, T]) {
	c := b.cache
	at := now()
	for _, s := range own {
		if it := c.local.get(s.key, s.hash, at); it != nil {
			c.land(s.flight, &it.record, nil)
		} else {
			missing = append(missing, s)
		}
	}
	if c.remote == nil || len(missing) == 0 {
		c.stats.misses.Add(uint64(len(missing)))
		return missing
	}
	holds := make([]hold[T], len(missing))
	for i, s := range missing {
		holds[i] = s.flight.hold
	}
	fetched := missing
	missing = nil
	for i, r := range c.fetchMany(ctx, holds) {
		if r != nil {
			c.land(fetched[i].flight, r, nil)
		} else {
			missing = append(missing, fetched[i])
		}
	}
	return missing
}

// arrive stores what was loaded and lands the flights.
func (b *batch[K, T]) arrive(ctx context.Context, own []seat[K, T], values map[K]T, err error) {
	c := b.cache
	failed := err != nil && !errors.Is(err, ErrNotFound)
	records := make(map[string]*record[T], len(own))
	var changes []change[T]
	for _, s := range own {
		v, ok := values[s.id]
		if !ok && failed {
			continue
		}
		r := newRecord(v, !ok, c.policy, nil)
		records[s.key] = r
		if r.kept() {
			ch, _ := c.change(ctx, s.flight.hold, r, c.policy) // as in Cache.fly
			changes = append(changes, ch)
		}
	}
	if len(changes) > 0 {
		c.keep(ctx, changes)
	}
	b.land(own, func(s seat[K, T]) {
		if r := records[s.key]; r != nil {
			s.flight.land(r, nil)
		} else {
			s.flight.land(nil, err)
		}
	})
}

func (b *batch[K, T]) fail(seats []seat[K, T], err error) {
	b.land(seats, func(s seat[K, T]) { s.flight.land(nil, err) })
}

// land ends flights. Their keys are free before any caller hears of it: one that asks again begins anew.
func (b *batch[K, T]) land(seats []seat[K, T], end func(seat[K, T])) {
	for _, s := range seats {
		b.cache.guards.leave(s.flight)
	}
	for _, s := range seats {
		end(s)
	}
}
