package tiered

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// change is what a key is to hold after a write, or after a load.
type change[T any] struct {
	hold  hold[T]
	item  *item[T]      // in the local tier; nil: nothing
	frame []byte        // in Redis; nil: nothing
	ttl   time.Duration // there
}

// Set stores the value in both tiers; tags label it, for Lookup. When it returns nil, no read of the key through this
// cache that starts afterwards gets an older value: a load under way is superseded, and its result isn't stored. If
// Redis fails, Set returns its error, and the local tier has the value all the same. While a write that Redis didn't
// answer in time is still on its way, later writes of its key fail too: it must not arrive after them. (What a frozen
// server has received before it was frozen is out of reach.)
func (c *Cache[T]) Set(ctx context.Context, key string, value T, tags ...string) error {
	return c.setMany(ctx, []string{key}, func(string) T { return value }, tags)
}

// SetMany is Set for many keys in one round trip to Redis (per node of a Cluster). Its error is the first of them; the
// other values may have been stored.
func (c *Cache[T]) SetMany(ctx context.Context, values map[string]T, tags ...string) error {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	return c.setMany(ctx, keys, func(key string) T { return values[key] }, tags)
}

// setMany makes all its changes before it begins the first.
func (c *Cache[T]) setMany(ctx context.Context, keys []string, value func(key string) T, tags []string) error {
	if err := c.usable(keys...); err != nil {
		return err
	}
	changes := make([]change[T], len(keys))
	for i, key := range keys {
		v := value(key)
		if c.clone != nil {
			v = c.clone(v)
		}
		var err error
		h := hold[T]{key: key, hash: c.hash(key)}
		if changes[i], err = c.change(ctx, h, newRecord(v, false, c.policy, tags), c.policy); err != nil {
			return err
		}
	}
	return c.write(ctx, changes)
}

// Delete removes the keys from both tiers. When it returns nil, no read of them through this cache that starts
// afterwards gets the deleted value, nor one whose load was under way. If Redis fails, Delete returns its error, and the
// local tier no longer has the keys all the same.
func (c *Cache[T]) Delete(ctx context.Context, keys ...string) error {
	if err := c.usable(keys...); err != nil {
		return err
	}
	if len(keys) > 1 {
		keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	}
	changes := make([]change[T], len(keys))
	for i, key := range keys {
		changes[i].hold = hold[T]{key: key, hash: c.hash(key)}
	}
	return c.write(ctx, changes)
}

// change returns the change to a record. Its error is that of the codec; the change then is right but for Redis, where
// it leaves nothing.
func (c *Cache[T]) change(ctx context.Context, h hold[T], r *record[T], p Policy) (change[T], error) {
	if !r.kept() {
		return change[T]{hold: h}, nil
	}
	ch := change[T]{hold: h, item: c.local.newItem(h.key, h.hash, r, p.localUntil(r.created, r.freshUntil))}
	if c.remote == nil {
		return ch, nil
	}
	var err error
	ch.frame, err = c.remote.encode(ctx, r)
	ch.ttl = wholeMillis(r.freshUntil.since(r.created))
	return ch, err
}

// write makes changes that supersede whatever else is under way for their keys, which must differ: first in Redis, then
// in the local tier, so that what a reader finds in Redis meanwhile can't stay there.
func (c *Cache[T]) write(ctx context.Context, changes []change[T]) error {
	for i, ch := range changes {
		changes[i].hold = c.guards.overtake(ch.hold.key, ch.hold.hash)
	}
	if c.remote == nil {
		c.finish(changes)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.remote.redis.timeout)
	defer cancel()
	busy, err := c.writeInTurn(ctx, changes, false)
	if len(busy) > 0 {
		var late error
		busy, late = c.writeInTurn(ctx, busy, true)
		err = cmp.Or(err, late)
	}
	if len(busy) > 0 {
		c.finish(busy)
		err = cmp.Or(err, fmt.Errorf("%w: %w", errTurnTaken, ctx.Err()))
	}
	return err
}

// writeInTurn makes the changes whose turn it gets, and returns the others.
func (c *Cache[T]) writeInTurn(ctx context.Context, changes []change[T], wait bool) (busy []change[T], err error) {
	turns, inTurn, busy := c.guards.takeTurns(ctx, changes, wait)
	defer turns.done()
	err = c.remote.write(ctx, inTurn, turns.done)
	c.finish(inTurn)
	return busy, err
}

func (c *Cache[T]) finish(changes []change[T]) {
	for _, ch := range changes {
		c.guards.finish(ch.hold, ch.item)
	}
}

// keep makes the changes of loads, except for the keys that were written since they began. A key whose turn it doesn't get
// in time is kept in the local tier alone. An error of Redis is only counted: the callers have their values.
func (c *Cache[T]) keep(ctx context.Context, changes []change[T]) {
	if c.remote != nil {
		ctx, cancel := context.WithTimeout(ctx, c.remote.redis.timeout)
		defer cancel()
		if changes = c.keepInTurn(ctx, changes, false); len(changes) > 0 {
			changes = c.keepInTurn(ctx, changes, true)
		}
	}
	c.arrive(changes)
}

// keepInTurn is writeInTurn for loads.
func (c *Cache[T]) keepInTurn(ctx context.Context, changes []change[T], wait bool) (busy []change[T]) {
	turns, inTurn, busy := c.guards.takeTurns(ctx, changes, wait)
	defer turns.done()
	overtaken := func(ch change[T]) bool { return !c.guards.current(ch.hold) }
	_ = c.remote.write(ctx, slices.DeleteFunc(slices.Clone(inTurn), overtaken), turns.done)
	c.arrive(inTurn)
	return busy
}

func (c *Cache[T]) arrive(changes []change[T]) {
	for _, ch := range changes {
		c.guards.arrive(ch.hold, ch.item)
	}
}
