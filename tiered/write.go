package tiered

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// The methods that change the cache. Writes of keys go through a writes (writes.go): Redis first, then the key's generation, then the
// local tier. In this order a read that finds the old value in Redis can't put it into the local tier after the write has returned.
// Invalidations of tags and of everything go through the write queue, which has the order for them (package writequeue). What Redis
// doesn't take is queued as an invalidation, never as a value: a value that is replayed later might undo a write of another process.

// Set stores the value in both tiers. InvalidateTags of one of its tags makes it invalid. When Set returns nil, no read of
// the key through this cache that starts afterwards gets an older value: a load under way in any process is superseded, and
// its result isn't stored. The key and the tags are copied. The local tier keeps the value itself, which must not be
// modified any more unless there is an [Options].Clone.
//
// The tags are a set: duplicates count once, and the order means nothing. A value has at most 128 tags of 1 to 256 bytes.
// With more tags, or a tag of another length, Set returns an error and changes nothing.
//
// If Redis can't be written, Set returns an error that wraps [ErrQueued] and the cause. The local tier usually has the value
// for as long as Redis doesn't answer. When Redis is back, its value of the key is deleted unless that is newer. Until then
// reads through this cache don't rely on Redis for the key, and so get no older value. Other processes keep reading the
// older value until then, or until its TTL is over if this process ends before that. While a write that Redis didn't answer
// in time is still on its way, later writes of its key are queued too, because they must not arrive before it. (A write that
// a frozen server had already received can't be held back.) If the codec can't encode the value, nothing is changed.
func (c *Cache[T]) Set(ctx context.Context, key string, value T, tags ...string) error {
	return c.setMany(ctx, []string{key}, func(string) T { return value }, tags)
}

// SetMany is Set for many keys. It takes one round trip to Redis (per node of a Cluster) for up to 1,000 keys and a megabyte,
// and sends more in chunks of that size, each with a [RedisOptions].Timeout. Only the values that Redis didn't take are
// queued; the others are stored. If Redis doesn't answer at all, the remaining chunks are queued without being sent. More
// than 10,000 keys in the queue become a Clear (see [ErrQueued]).
//
// A value that the codec can't encode leaves its key as it was, and the error names the first such keys and says how many
// more there are. Without Redis nothing is encoded. Of several errors of Redis, SetMany returns the first. For an invalid key
// or tag it returns an error and stores nothing.
func (c *Cache[T]) SetMany(ctx context.Context, values map[string]T, tags ...string) error {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	return c.setMany(ctx, keys, func(key string) T { return values[key] }, tags)
}

// setMany sets the keys to their values. It encodes a chunk while the chunks before it are on their way to Redis.
func (c *Cache[T]) setMany(ctx context.Context, keys []string, value func(key string) T, tags []string) error {
	if err := c.usable(keys...); err != nil {
		return err
	}
	tags, err := wire.TagSet(wire.CloneTags(tags))
	if err != nil {
		return err
	}
	waiting := c.queue.HidesAll()
	if waiting {
		c.queue.ReplayTags(ctx)
		waiting = c.queue.HidesAll()
	}
	at, bound, late := c.register(ctx, tags)
	if waiting {
		late = cmp.Or(late, writequeue.ErrNotReplayed) // the queued invalidation will remove the value
	}
	w := c.newWrites(ctx, len(keys))
	defer w.Wait()                  // a codec, Cost or Clone may panic
	wrong := make(map[string]error) // by key; these keys aren't changed
	for _, key := range keys {
		ch, err := c.newSet(ctx, key, value(key), at.Stamp(tags), bound)
		if err != nil {
			c.stats.codecErrors.Add(1)
			wrong[key] = err
			continue
		}
		w.Add(ch)
	}
	err = joinFirst(wrong)
	failed := w.end()
	if failed == nil && late != nil && len(wrong) < len(keys) {
		stored := make([]string, 0, len(keys))
		for _, key := range keys {
			if wrong[key] == nil {
				stored = append(stored, strings.Clone(key)) // because the queue keeps it
			}
		}
		failed = c.queue.Failed(stored, false, late)
		c.traceQueued(stored, failed)
	}
	if err != nil && failed != nil {
		return errors.Join(failed, err)
	}
	return cmp.Or(failed, err)
}

// maxJoined is how many keys an error names.
const maxJoined = 8

// joinFirst returns an error that wraps the errors of the first keys, and says how many more there are.
func joinFirst(byKey map[string]error) error {
	switch len(byKey) {
	case 0:
		return nil
	case 1:
		for _, err := range byKey {
			return err
		}
	}
	keys := slices.Sorted(maps.Keys(byKey))
	var errs []error
	for _, key := range keys[:min(len(keys), maxJoined)] {
		errs = append(errs, byKey[key])
	}
	if more := len(keys) - maxJoined; more > 0 {
		errs = append(errs, fmt.Errorf("tiered: and %d more", more))
	}
	return errors.Join(errs...)
}

// newSet returns the key write that sets a key to the value. Its error concerns the value.
func (c *Cache[T]) newSet(ctx context.Context, key string, value T, m coherence.Stamp, b *coherence.Deps) (keyWrite[T], error) {
	if c.values.Clone != nil {
		var err error
		if value, err = c.values.Copy(value); err != nil {
			return keyWrite[T]{}, fmt.Errorf("tiered: the value of %.100q: %w", key, err)
		}
	}
	r := record.NewFor(&c.view, value, false, 0, m)
	var err error
	if r.Cost, err = c.values.Weigh(&r.Value); err != nil {
		return keyWrite[T]{}, fmt.Errorf("tiered: the value of %.100q: %w", key, err)
	}
	ch := keyWrite[T]{ref: keyRef[T]{Key: key, Hash: c.hash(key)}}
	err = c.newWrite(ctx, &ch, r, b, &c.view)
	return ch, err
}

// register returns the position and the dependencies of values that are being set. Concurrent invalidations may be ordered
// before or after it, but if one hits a tag that is registered at the same time, register tries again.
func (c *Cache[T]) register(ctx context.Context, tags []string) (at coherence.Position, b *coherence.Deps, err error) {
	began := mono.Now()
	if c.remote != nil && c.remote.Conn.Nodes.AnyFeed().NoEvents {
		c.tags.SeqChanged() // under an epoch that ended unnoticed the values would be invalid
	}
	for range 3 {
		if at, err = c.tags.Position(ctx); err == nil {
			b, err = c.tags.Register(ctx, at, tags, c.retention.MaxRedisTTL(c.policy.TTL))
		}
		if err != nil {
			return at, c.tags.BindUnstored(c.tags.LastKnown(), tags, c.temporary(began), c.tags.Invalidations()), err
		}
		if b != nil {
			return at, b, nil
		}
		c.tags.SeqChanged()
	}
	return at, nil, nil
}

// Delete removes the keys from both tiers. When it returns nil, no read of them through this cache that starts afterwards
// gets the deleted value, or one whose load was under way. If Redis can't be written, Delete returns an error that wraps
// [ErrQueued]. The same then holds for reads through this cache, while other processes are behind until Redis is back. If this
// process ends before that, they have the deleted value until its TTL is over.
func (c *Cache[T]) Delete(ctx context.Context, keys ...string) error {
	return c.remove(ctx, keys, false)
}

// Expire makes the keys stale: no read gets their values any more, but the next load gets the one that Redis has, as e.Value.
// If Redis has none, or another program wrote it, Expire is like Delete. It keeps Delete's promises, also when it returns
// ErrQueued.
func (c *Cache[T]) Expire(ctx context.Context, keys ...string) error {
	return c.remove(ctx, keys, true)
}

// remove deletes the keys, or with expire makes them stale.
func (c *Cache[T]) remove(ctx context.Context, keys []string, expire bool) error {
	if err := c.usable(keys...); err != nil {
		return err
	}
	if len(keys) > 1 {
		keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	}
	w := c.newWrites(ctx, len(keys))
	for _, key := range keys {
		w.Add(keyWrite[T]{ref: keyRef[T]{Key: key, Hash: c.hash(key)}, redis: remote.Write{Expire: expire}})
	}
	return w.end()
}

// InvalidateTags makes every value that has one of the tags invalid, however many there are, and also the results of loads
// that have begun. When it returns nil, no read through this cache that starts afterwards gets such a value. Other processes
// follow as soon as they hear of it, see [RedisOptions].Heartbeat. If Redis can't be written, InvalidateTags returns an error
// that wraps [ErrQueued], as Delete does. Until Redis is back, reads through this cache don't rely on it for any key. A cache
// without Redis knows 131,072 tags at a time: a value is lost with its tag. A tag has 1 to 256 bytes: with another one
// InvalidateTags returns an error and invalidates nothing.
func (c *Cache[T]) InvalidateTags(ctx context.Context, tags ...string) error {
	return c.invalidate(ctx, tags, false)
}

// ExpireTags is to InvalidateTags as Expire is to Delete: it makes every value that has one of the tags stale, and the results
// of loads that have begun aren't stored. No read gets such a value as a fresh one again, but the next load gets it as e.Value,
// and it may be served as StaleIfError and SoftTimeout say. ExpireTags returns the same errors as InvalidateTags. If Redis
// can't be written, the expiry is queued; values with the tag that only this process's memory has are lost then.
func (c *Cache[T]) ExpireTags(ctx context.Context, tags ...string) error {
	return c.invalidate(ctx, tags, true)
}

// invalidate invalidates the tags, or with expire makes their values stale.
func (c *Cache[T]) invalidate(ctx context.Context, tags []string, expire bool) error {
	if err := c.usable(); err != nil {
		return err
	}
	tags, err := wire.SortTags(wire.CloneTags(tags))
	if err != nil || len(tags) == 0 {
		return err
	}
	if c.remote == nil {
		c.tags.Invalidated(tags, expire)
		return nil
	}
	err = c.queue.InvalidateTags(ctx, tags, expire)
	c.traceQueued(nil, err)
	return err
}

// Clear is InvalidateTags for all values of the cache's name, at the cost of one write to Redis. It is queued like
// InvalidateTags. Values that other programs wrote under its keys stay.
func (c *Cache[T]) Clear(ctx context.Context) error { return c.clear(ctx, false) }

// ExpireAll is ExpireTags for all values of the cache's name, at the cost of one write to Redis. Values that other programs
// wrote under its keys stay as they are.
func (c *Cache[T]) ExpireAll(ctx context.Context) error { return c.clear(ctx, true) }

// clear invalidates everything, or with expire makes it stale.
func (c *Cache[T]) clear(ctx context.Context, expire bool) error {
	if err := c.usable(); err != nil {
		return err
	}
	var err error
	if c.remote == nil {
		c.tags.Cleared(expire)
	} else {
		err = c.queue.InvalidateAll(ctx, expire)
	}
	c.keys.SupersedeAll()
	c.traceQueued(nil, err)
	return err
}
