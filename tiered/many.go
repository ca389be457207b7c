package tiered

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
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
		if it := c.local.get(key, hash, at, nil); it == nil {
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
	for i, got := range c.fetch(ctx, holds, due) {
		if got.record == nil {
			continue
		}
		if v, err := c.give(got.record); err == nil {
			values[holds[i].key] = v
		}
	}
	if err := ctx.Err(); err != nil {
		return values, fmt.Errorf("tiered: reading from redis: %w", err)
	}
	return values, nil
}

// GetOrLoadMany returns the cached values of the ids, and loads the missing ones with one call of load, which gets only
// those ids that nothing else in this process or another is loading already; for the others it waits. What of that fails
// to come is loaded in further calls, one at a time. Redis is read in one round trip; leases are taken in one, and values
// stored in one (per node of a Cluster). key makes an id's cache key; ids with the same key have the same
// value.
//
// Ids that load leaves out of its map don't exist: they are left out here too, and remembered for
// [Policy].NotFoundTTL. If load fails, what was found is returned with its error; values that it returned beside the
// error count. What is only to be refreshed or revalidated load gets in calls in the background, which may come at the same
// time as others, and after GetOrLoadMany has returned. Contexts, panics, and what a loader may do are as in GetOrLoad. It is a
// function because a method can't have the type parameter K.
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
	b, err := newBatch(ctx, c, ids, key)
	if err != nil {
		return b.values, err
	}
	b.load = load
	if len(b.renewing) > 0 {
		c.renew(ctx, b.renewing, b.loadClaims)
	}
	if len(b.seats) == 0 {
		return b.values, nil
	}
	again, err := b.run(ctx)
	if len(again) == 0 {
		return b.values, err
	}
	values, late := GetOrLoadMany(ctx, c, again, key, load)
	maps.Copy(b.values, values)
	return b.values, cmp.Or(err, late)
}

// batch is one call of GetOrLoadMany.
type batch[K comparable, T any] struct {
	cache  *Cache[T]
	load   func(context.Context, []K) (map[K]T, error)
	values map[K]T      // found
	seats  []seat[K, T] // one for each id that the local tier doesn't have
	pilot  *pilot       // of the flights that the batch begins
	turn   sync.Mutex   // callers wait for one call of load at a time

	renewing []hold[T] // keys whose values were found, and are to be replaced
	due      []K       // their ids

	naming sync.Once
	ids    map[string]K // by key
}

// seat is an id and the flight that its value comes with.
type seat[K comparable, T any] struct {
	id K
	sought
	flight *flight[T] // nil: the id's loader asks for it itself
	late   bool       // the flight had landed
}

// newBatch looks the ids up in the local tier.
func newBatch[K comparable, T any](ctx context.Context, c *Cache[T], ids []K, key func(K) string) (*batch[K, T], error) {
	b := &batch[K, T]{cache: c, values: make(map[K]T, len(ids)), pilot: new(pilot)}
	if c.life.isOver() {
		return b, ErrClosed
	}
	at := now()
	for i, id := range ids {
		k := key(id)
		hash := c.hash(k)
		it, puts := c.local.look(k, hash, at, &c.policy, 0)
		if it != nil {
			if it.renews(&c.policy, at) {
				c.serves(ctx, k, &it.record, nil)
				b.due = append(b.due, id)
				b.renewing = append(b.renewing, hold[T]{key: k, hash: hash})
			}
			if v, err := c.give(&it.record); err == nil {
				b.values[id] = v
			}
			continue
		}
		if err := c.usable(k); err != nil {
			return b, err
		}
		if b.seats == nil {
			b.seats = make([]seat[K, T], 0, len(ids)-i)
		}
		b.seats = append(b.seats, seat[K, T]{id: id, sought: sought{k, hash, at, puts}})
	}
	return b, nil
}

// run puts every seat on a flight, sees to those that are the batch's own, and waits for them all. It returns the ids whose
// value came with another's flight and may have been invalidated by this process before this call.
func (b *batch[K, T]) run(ctx context.Context) (again []K, firstErr error) {
	c := b.cache
	invalidated := c.tags.own.Load()
	own := make([]*flight[T], 0, len(b.seats))
	fl := fleet[T]{pilot: b.pilot, start: now(), size: len(b.seats)}
	for i := range b.seats {
		s := &b.seats[i]
		f, mine := c.guards.join(ctx, s.key, s.hash, asked, &fl)
		switch {
		case mine:
			f.apart = c.local.still(s.sought)
			own = append(own, f)
		case f.pilot.within(ctx):
			firstErr = cmp.Or(firstErr, errOwnKey)
			continue
		case f.pilot != b.pilot:
			c.stats.collapsed.Add(1)
			s.late = f.landed()
		}
		s.flight = f
	}
	if len(own) > 0 {
		rest, renews := c.glance(ctx, own)
		if len(rest) > 0 {
			c.takeOff(ctx, b.pilot, rest, b.loadClaims)
		}
		if len(renews) > 0 {
			c.renew(ctx, renews, b.loadClaims)
		}
	}
	for i := range b.seats {
		s := &b.seats[i]
		if s.flight == nil {
			continue
		}
		r, offered, err := c.await(ctx, s.flight, asked)
		switch {
		case r == nil && (s.late || s.flight.why == refreshed) && ctx.Err() == nil:
			c.guards.dismiss(s.flight) // the failure is an older one, or a Refresh's
			again = append(again, s.id)
		case r == nil:
			firstErr = cmp.Or(firstErr, err)
		case !offered && s.flight.began < invalidated && len(r.tags) > 0:
			c.guards.dismiss(s.flight)
			again = append(again, s.id)
		default:
			if v, err := c.hand(ctx, s.flight, r, offered); err == nil {
				b.values[s.id] = v
			}
		}
	}
	return again, firstErr
}

// loadClaims loads what the batch is to load. Ids of one key have one value: the first stands for them.
func (b *batch[K, T]) loadClaims(ctx context.Context, claims []*claim[T]) error {
	b.naming.Do(b.name)
	ids := make([]K, len(claims))
	for i, cl := range claims {
		ids[i] = b.ids[cl.flight.key]
	}
	load := b.loadInTurn
	if claims[0].flight.why == renewal {
		load = b.load // who waits for others isn't to wait for it
	}
	values, err := load(ctx, ids)
	failed := err != nil && !errors.Is(err, ErrNotFound)
	for i, cl := range claims {
		v, ok := values[ids[i]]
		if ok || !failed {
			cl.policy = b.cache.policy
			cl.result = b.cache.newResult(cl, v, !ok, nil)
		}
	}
	return err
}

// name sees to it that the ids that may have to be loaded are found by their keys.
func (b *batch[K, T]) name() {
	b.ids = make(map[string]K, len(b.seats)+len(b.due))
	for i := len(b.due) - 1; i >= 0; i-- {
		b.ids[b.renewing[i].key] = b.due[i]
	}
	for i := len(b.seats) - 1; i >= 0; i-- { // so that the first of a key is the one that stays
		b.ids[b.seats[i].key] = b.seats[i].id
	}
}

func (b *batch[K, T]) loadInTurn(ctx context.Context, ids []K) (map[K]T, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	return b.load(ctx, ids)
}
