package tiered

import (
	"context"
	"errors"
	"fmt"

	"github.com/tiercache/tiercache/tiered/internal/coherence"

	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// Reads without a loader. They look in the local tier and then in Redis, have no flight, and don't wait for leases. The lower half of the
// file, reading keys from Redis and checking their validity, also serves jobs.

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
	return c.valueOf(got.record)
}

// Lookup returns the cached entry with its age, tier and state. The state is Stale for an entry that GetOrLoad may serve only under
// the [Policy]'s StaleWhileRevalidate or StaleIfError. It returns [ErrNotFound] on a miss, with the zero
// Entry, and for a remembered absence, with an Entry in the state NotFound.
func (c *Cache[T]) Lookup(ctx context.Context, key string) (Entry[T], error) {
	if c.wrong != nil {
		return Entry[T]{}, c.wrong
	}
	hash, at := c.hash(key), mono.Now()
	var got hit[T]
	if it := c.local.Get(key, hash, at, nil); it != nil {
		got = hit[T]{record: &it.Record, tier: Local, key: it.Key}
	} else {
		var err error
		if got, err = c.fetchOne(ctx, key, hash, record.IfError); err != nil {
			return Entry[T]{}, err
		}
		at = mono.Now()
	}
	e := entryOf(got.record, got.key, c.policy, got.tier, at)
	var err error
	e.Value, err = c.valueOf(got.record)
	return e, err
}

// hit is the result of reading a key: the record and its tier. The record is nil if there is none, or none of use.
// The key is the cache's own copy.
type hit[T any] struct {
	record *record.Record[T]
	tier   Tier
	key    string
	err    error // Redis can't be read, and the local tier has no substitute
}

// fetchOne is fetch for a single key of a caller. It returns ErrNotFound on a miss.
func (c *Cache[T]) fetchOne(ctx context.Context, key string, hash uint64, least record.Use) (hit[T], error) {
	if err := c.usable(key); err != nil {
		return hit[T]{}, err
	}
	if c.remote == nil {
		if least == record.IfError {
			if it := c.local.GetStale(key, hash, mono.Now()); it != nil && it.Use(&c.view.Windows, mono.Now()) >= least {
				return hit[T]{record: &it.Record, tier: Local, key: it.Key}, nil
			}
		}
		c.missed(key, nil)
		return hit[T]{}, ErrNotFound
	}
	h := c.keys.Ref(key, hash)
	defer c.keys.Release(h)
	if got := c.fetch(ctx, []keyRef[T]{h}, least)[0]; got.record != nil {
		return got, nil
	}
	if err := ctx.Err(); err != nil {
		return hit[T]{}, fmt.Errorf("tiered: reading from redis: %w", err)
	}
	return hit[T]{}, ErrNotFound
}

// fetch reads the keys from Redis into the local tier, and returns the records that allow at least the given use. If Redis
// can't be read, fetch returns what the local tier has. The caller holds references to the keys.
func (c *Cache[T]) fetch(ctx context.Context, refs []keyRef[T], least record.Use) []hit[T] {
	got := make([]hit[T], len(refs))
	for i, f := range c.readUnlessQueued(ctx, refs, remote.ReadOptions{}) {
		switch {
		case redisconn.Unanswered(f.Err) && ctx.Err() == nil:
			if got[i] = c.unreadable(refs[i], least, f.Err); got[i].record != nil {
				continue
			}
		case f.Use(&c.view.Windows) >= least:
			got[i] = hit[T]{record: f.Record, tier: Remote, key: refs[i].Key}
			c.stats.remoteHits.Add(1)
			c.fill(refs[i], f)
			continue
		}
		if ctx.Err() == nil {
			c.missed(refs[i].Key, &f)
		}
	}
	return got
}

// unreadable returns the local tier's record of a key that can't be read from Redis, or the error if there is none.
func (c *Cache[T]) unreadable(h keyRef[T], least record.Use, why error) hit[T] {
	var it *local.Item[T]
	if least == record.IfError {
		it = c.local.GetUnverifiedStale(h.Key, h.Hash)
	} else {
		it = c.local.GetUnverified(h.Key, h.Hash, nil)
	}
	if it != nil && it.Use(&c.view.Windows, mono.Now()) >= least {
		return hit[T]{record: &it.Record, tier: Local, key: it.Key}
	}
	if errors.Is(why, writequeue.ErrNotReplayed) { // a key with a queued write counts as missing
		why = nil
	}
	return hit[T]{err: why}
}

// fill puts a record read from Redis into the local tier.
func (c *Cache[T]) fill(h keyRef[T], f remote.Result[T]) *local.Item[T] {
	it := c.local.NewItem(h.Key, h.Hash, f.Record, *f.Deps, c.view.LocalUntil(mono.Now(), f.Record.FreshUntil))
	c.keys.PutRead(h, it)
	return it
}

// readUnlessQueued reads the keys from Redis and checks the validity of the records. A key with a queued write isn't read: Redis may
// still hold the value that the write replaces or removes.
func (c *Cache[T]) readUnlessQueued(ctx context.Context, refs []keyRef[T], how remote.ReadOptions) []remote.Result[T] {
	var hidden []bool
	asked := refs
	if c.queue.Len() > 0 {
		hidden, asked = make([]bool, len(refs)), nil
		for i, h := range refs {
			if hidden[i] = c.queue.Hides(h.Key); !hidden[i] {
				asked = append(asked, h)
			}
		}
		if len(asked) < len(refs) {
			how.Started = nil // its elements correspond to all the keys
		}
	}
	results := c.readRemote(ctx, asked, how)
	all := c.queue.HidesAll()
	if hidden == nil && !all {
		return results
	}
	merged := make([]remote.Result[T], len(refs))
	for i := range refs {
		if hidden == nil || !hidden[i] {
			merged[i], results = results[0], results[1:]
		}
		if all || hidden != nil && hidden[i] {
			merged[i] = remote.Result[T]{Reply: c.remote.Failed(1, c.queue.Withheld(refs[i].Key, all))[0]}
		}
	}
	return merged
}

// readRemote reads the keys from Redis and checks the validity of the records against their tags and the epoch.
func (c *Cache[T]) readRemote(ctx context.Context, refs []keyRef[T], how remote.ReadOptions) []remote.Result[T] {
	results := c.remote.Read(ctx, keysOf(refs, func(h keyRef[T]) string { return h.Key }), &c.view, how)
	all, framed := make([]*record.Meta, len(refs)), false
	for i := range results {
		f := &results[i]
		switch {
		case f.Record == nil:
		case f.Framed():
			all[i], framed = f.Record.Meta, true
		default:
			f.Deps = &coherence.Deps{Validity: f.Validity, Feed: f.Feed}
		}
	}
	if !framed {
		return results
	}
	bound, errs := c.tags.Bind(ctx, all)
	for i := range results {
		f := &results[i]
		switch {
		case all[i] == nil:
		case errs[i] != nil:
			f.Err = errs[i]
		case bound[i] == nil:
			f.Record, f.Vacant = nil, f.Others == nil
		default:
			f.Deps = bound[i]
			f.Deps.Validity, f.Deps.Feed = f.Validity, f.Feed
		}
	}
	return results
}
