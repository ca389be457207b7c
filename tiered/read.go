package tiered

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/tiers"
)

// Reads without a loader. They look in the local tier and then in Redis, have no flight, and don't wait for leases.

// Get returns the cached value if it is fresh. It doesn't serve a stale value, since it has no loader that would replace it. It
// returns [ErrNotFound] on a miss and for a remembered absence, and the context's error if ctx ends while Redis is read.
func (c *Cache[T]) Get(ctx context.Context, key string) (T, error) {
	var none T
	if c.wrong != nil {
		return none, c.wrong
	}
	hash := c.hash(key)
	if it := c.local.Get(key, hash, mono.Now(), nil); it != nil {
		return c.valueOf(&it.Record)
	}
	got, err := c.fetchOne(ctx, key, hash, record.RefreshDue)
	if err != nil {
		return none, err
	}
	return c.valueOf(got.Record)
}

// Lookup returns the cached entry with its age, tier and state. The state is Stale for an entry that GetOrLoad may serve only under
// the [Policy]'s StaleWhileRevalidate or StaleIfError. It returns [ErrNotFound] on a miss, with the zero
// Entry, and for a remembered absence, with an Entry in the state NotFound.
func (c *Cache[T]) Lookup(ctx context.Context, key string) (e Entry[T], err error) {
	if c.wrong != nil {
		return e, c.wrong
	}
	hash, at := c.hash(key), mono.Now()
	var got tiers.Hit[T]
	if it := c.local.Get(key, hash, at, nil); it != nil {
		got = tiers.Hit[T]{Key: it.Key, Record: &it.Record, InMemory: true}
	} else {
		if got, err = c.fetchOne(ctx, key, hash, record.IfError); err != nil {
			return e, err
		}
		at = mono.Now()
	}
	e = entryOf(got.Record, got.Key, c.policy, tierOf(got.InMemory), at)
	e.Value, err = c.valueOf(got.Record)
	return e, err
}

// fetchOne reads a key from Redis, and returns its record if that allows at least the given use. It returns ErrNotFound on a miss.
func (c *Cache[T]) fetchOne(ctx context.Context, key string, hash uint64, least record.Use) (tiers.Hit[T], error) {
	if err := c.usable(key); err != nil {
		return tiers.Hit[T]{}, err
	}
	if c.remote == nil {
		if least == record.IfError {
			if it := c.local.GetStale(key, hash, mono.Now()); it != nil && it.Use(&c.view.Windows, mono.Now()) >= least {
				return tiers.Hit[T]{Key: it.Key, Record: &it.Record, InMemory: true}, nil
			}
		}
		c.missed(key, nil)
		return tiers.Hit[T]{}, ErrNotFound
	}
	h := c.keys.Ref(key, hash)
	defer c.keys.Release(h)
	got := c.tiers.Fetch(ctx, []keyRef[T]{h}, least, &c.view)[0]
	c.countFetched(ctx, &got)
	if got.Record != nil {
		return got, nil
	}
	if err := ctx.Err(); err != nil {
		return tiers.Hit[T]{}, fmt.Errorf("tiered: reading from redis: %w", err)
	}
	return tiers.Hit[T]{}, ErrNotFound
}

// countFetched counts the hit, or the miss unless it is because ctx has ended.
func (c *Cache[T]) countFetched(ctx context.Context, h *tiers.Hit[T]) {
	switch {
	case h.Record == nil && ctx.Err() == nil:
		c.missed(h.Key, h.Found)
	case h.Record != nil && !h.InMemory:
		c.stats.remoteHits.Add(1)
	}
}

// GetMany returns the cached values by key, without the keys that aren't cached or are remembered as absent. It reads up to 256
// keys from Redis in one round trip (per node of a Cluster), and more keys in chunks, each of which has [RedisOptions].Timeout. If
// Redis can't be read, or ctx ends first, GetMany returns the values that it has and an error. If the local tier has a value to serve
// in place of an unreadable one, that is no error. The keys of the map are the cache's copies.
func (c *Cache[T]) GetMany(ctx context.Context, keys ...string) (map[string]T, error) {
	if err := c.usable(keys...); err != nil {
		return nil, err
	}
	values := make(map[string]T, len(keys))
	var failed error // the first error of Clone
	give := func(key string, r *record.Record[T]) {
		if v, err := c.valueOf(r); err == nil {
			values[key] = v
		} else {
			failed = cmp.Or(failed, notGiven(r, key, err))
		}
	}
	asked := make(map[string]bool)
	var missing []keyRef[T]
	at := mono.Now()
	for _, key := range keys {
		hash := c.hash(key)
		if it := c.local.Get(key, hash, at, nil); it != nil {
			give(it.Key, &it.Record)
		} else if !asked[key] {
			asked[key], missing = true, append(missing, keyRef[T]{Key: key, Hash: hash})
		}
	}
	if c.remote == nil || len(missing) == 0 {
		for _, h := range missing {
			c.missed(h.Key, nil)
		}
		return values, failed
	}
	unread, why := 0, error(nil) // how many keys can't be read, and the error of the first of them
	c.tiers.FetchMany(ctx, missing, &c.view, func(h tiers.Hit[T]) {
		c.countFetched(ctx, &h)
		if h.Err != nil {
			unread, why = unread+1, cmp.Or(why, h.Err)
		}
		if h.Record != nil {
			give(h.Key, h.Record)
		}
	})
	if err := ctx.Err(); err != nil {
		return values, fmt.Errorf("tiered: reading from redis: %w", err)
	}
	if why != nil {
		return values, fmt.Errorf("tiered: %d of %d keys can't be read: %w", unread, len(keys), why)
	}
	return values, failed
}

// notGiven returns the error of valueOf with the key, or nil for an absence, whose error is no failure.
func notGiven[T any](r *record.Record[T], key string, err error) error {
	if err == nil || r.Absent {
		return nil
	}
	return fmt.Errorf("%w (of key %q)", err, key)
}
