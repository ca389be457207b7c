package tiered

import (
	"context"
	"fmt"
	"slices"
)

// change is what a key is to hold after a write, or after a load.
type change[T any] struct {
	hold   hold[T]
	record *record[T] // nil: nothing
	until  instant    // when it leaves the local tier
	frame  []byte     // what it is in Redis; nil: nothing
}

// Set stores the value in both tiers; tags label it, for Lookup. When it returns nil, no read of the key that starts
// afterwards in this process gets an older value: a load under way is superseded, and its result isn't stored. If Redis
// fails, Set returns its error, and the local tier has the value all the same.
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

// setMany encodes every value before it changes anything.
func (c *Cache[T]) setMany(ctx context.Context, keys []string, value func(key string) T, tags []string) error {
	if err := c.allUsable(keys); err != nil {
		return err
	}
	changes := make([]change[T], len(keys))
	for i, key := range keys {
		v := value(key)
		if c.clone != nil {
			v = c.clone(v)
		}
		r := newRecord(v, false, c.policy, tags)
		changes[i] = change[T]{record: r, until: c.policy.localUntil(r.created, r.freshUntil)}
		if c.remote == nil {
			continue
		}
		var err error
		if changes[i].frame, err = c.remote.encode(ctx, r); err != nil {
			return err
		}
	}
	return c.write(ctx, keys, changes)
}

// Delete removes the keys from both tiers. When it returns nil, no read of them that starts afterwards in this process
// gets the deleted value, nor one whose load was under way. If Redis fails, Delete returns its error, and the local tier
// no longer has the keys all the same.
func (c *Cache[T]) Delete(ctx context.Context, keys ...string) error {
	if err := c.allUsable(keys); err != nil {
		return err
	}
	if len(keys) > 1 {
		keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	}
	return c.write(ctx, keys, make([]change[T], len(keys)))
}

func (c *Cache[T]) allUsable(keys []string) error {
	if c.wrong != nil {
		return c.wrong
	}
	if c.life.isOver() {
		return ErrClosed
	}
	for _, key := range keys {
		if err := c.usable(key); err != nil {
			return err
		}
	}
	return nil
}

// write makes changes that supersede whatever else is under way for their keys, which must differ: first in Redis, then
// in the local tier, so that what a reader finds in Redis meanwhile can't stay there.
func (c *Cache[T]) write(ctx context.Context, keys []string, changes []change[T]) error {
	if len(keys) == 0 {
		return nil
	}
	for i, key := range keys {
		changes[i].hold = c.guards.overtake(key, c.hash(key))
	}
	defer func() {
		for _, ch := range changes {
			c.guards.release(ch.hold)
		}
	}()
	finish := func() {
		for _, ch := range changes {
			c.guards.finish(ch.hold, ch.record, ch.until)
		}
	}
	if c.remote == nil {
		finish()
		return nil
	}
	return c.inTurn(ctx, changes, func(ctx context.Context, err error) error {
		if err == nil {
			err = c.remote.write(ctx, changes)
		}
		finish()
		return err
	})
}

// inTurn calls do while this process makes no other Redis write of the keys, or with the error for which it has to do
// without, and bounds both the wait and the write by the Redis timeout.
func (c *Cache[T]) inTurn(ctx context.Context, changes []change[T], do func(context.Context, error) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.remote.redis.timeout)
	defer cancel()
	holds := make([]hold[T], len(changes))
	for i, ch := range changes {
		holds[i] = ch.hold
	}
	if err := takeTurns(ctx, holds); err != nil {
		return do(ctx, fmt.Errorf("tiered: redis: %w: %w", err, ctx.Err()))
	}
	defer yieldTurns(holds)
	return do(ctx, nil)
}

// loaded is the change that a load makes. A value that can't be encoded is kept in the local tier alone.
func (c *Cache[T]) loaded(ctx context.Context, h hold[T], r *record[T], p Policy) change[T] {
	if !r.kept() {
		return change[T]{hold: h}
	}
	ch := change[T]{hold: h, record: r, until: p.localUntil(r.created, r.freshUntil)}
	if c.remote != nil {
		ch.frame, _ = c.remote.encode(ctx, r) // counted
	}
	return ch
}

// keep makes the changes of loads, except for the keys that were written since they began. An error of Redis is only
// counted: the callers have their values.
func (c *Cache[T]) keep(ctx context.Context, changes []change[T]) {
	if c.remote == nil {
		c.fillAll(changes)
		return
	}
	_ = c.inTurn(ctx, changes, func(ctx context.Context, err error) error {
		if err == nil {
			current := slices.DeleteFunc(slices.Clone(changes), func(ch change[T]) bool { return !c.guards.current(ch.hold) })
			if len(current) > 0 {
				_ = c.remote.write(ctx, current)
			}
		}
		c.fillAll(changes)
		return nil
	})
}

func (c *Cache[T]) fillAll(changes []change[T]) {
	for _, ch := range changes {
		c.guards.fill(ch.hold, ch.record, ch.until)
	}
}
