package tiered

import (
	"context"
	"errors"

	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// The methods that change the cache. Package tiers has the order in which a write changes Redis and this process's memory, and package
// writequeue that for tags and Clear. What Redis doesn't take is queued as an invalidation, never as a value: a value that is replayed
// later might undo a write of another process.

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

// setMany sets the keys to their values.
func (c *Cache[T]) setMany(ctx context.Context, keys []string, value func(key string) T, tags []string) error {
	if err := c.usable(keys...); err != nil {
		return err
	}
	tags, err := wire.TagSet(wire.CloneTags(tags))
	if err != nil {
		return err
	}
	w := c.tiers.SetMany(ctx, keys, value, tags, &c.view)
	c.stats.codecErrors.Add(uint64(len(w.Wrong)))
	c.traceQueued(w.Queued, w.Err)
	return w.Joined()
}

// Delete removes the keys from both tiers. When it returns nil, no read of them through this cache that starts afterwards
// gets the deleted value, or one whose load was under way. If Redis can't be written, Delete returns an error that wraps
// [ErrQueued]. The same then holds for reads through this cache, while other processes are behind until Redis is back. If this
// process ends before that, they have the deleted value until its TTL is over.
func (c *Cache[T]) Delete(ctx context.Context, keys ...string) error {
	return c.remove(ctx, keys, remote.Write{})
}

// Expire makes the keys stale: no read gets their values any more, but the next load gets the one that Redis has, as e.Value.
// If Redis has none, or another program wrote it, Expire is like Delete. It keeps Delete's promises, also when it returns
// ErrQueued.
func (c *Cache[T]) Expire(ctx context.Context, keys ...string) error {
	return c.remove(ctx, keys, remote.Write{Expire: true})
}

// remove makes the same write, without a value, of all the keys.
func (c *Cache[T]) remove(ctx context.Context, keys []string, as remote.Write) error {
	if err := c.usable(keys...); err != nil {
		return err
	}
	return c.removeKeys(ctx, keys, as)
}

// removeKeys is remove for valid keys of a cache that may be closed.
func (c *Cache[T]) removeKeys(ctx context.Context, keys []string, as remote.Write) error {
	w := c.tiers.Remove(ctx, keys, as)
	c.traceQueued(w.Queued, w.Err)
	return w.Err
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
	err = c.tiers.InvalidateTags(ctx, tags, expire)
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
	err := c.tiers.InvalidateAll(ctx, expire)
	c.traceQueued(nil, err)
	return err
}

// traceQueued calls Trace.Queued if err says that a write was queued. It is called when the write is over.
func (c *core[T]) traceQueued(keys []string, err error) {
	if e, ok := errors.AsType[*writequeue.Error](err); ok && c.trace != nil && c.trace.Queued != nil {
		c.trace.Queued(keys, e.Cause)
	}
}
