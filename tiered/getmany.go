package tiered

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// GetMany returns the cached values by key, without the keys that aren't cached or are remembered as absent. It reads up to 256
// keys from Redis in one round trip (per node of a Cluster), and more keys in chunks, each of which has [RedisOptions].Timeout. If
// Redis can't be read, or ctx ends first, GetMany returns the values that it has and an error. If the local tier has a value to serve
// in place of an unreadable one, that is no error. The keys of the map are the cache's copies.
func (c *Cache[T]) GetMany(ctx context.Context, keys ...string) (map[string]T, error) {
	if err := c.usable(keys...); err != nil {
		return nil, err
	}
	values := make(map[string]T, len(keys))
	asked := make(map[string]bool)
	var missing []keyRef[T]
	at := mono.Now()
	var failed error // the first error of Clone
	for _, key := range keys {
		hash := c.hash(key)
		if it := c.local.Get(key, hash, at, nil); it == nil {
			if !asked[key] {
				asked[key], missing = true, append(missing, keyRef[T]{Key: key, Hash: hash})
			}
		} else if v, err := c.valueOf(&it.Record); err == nil {
			values[it.Key] = v
		} else {
			failed = cmp.Or(failed, notGiven(&it.Record, it.Key, err))
		}
	}
	if c.remote == nil || len(missing) == 0 {
		for _, h := range missing {
			c.missed(h.Key, nil)
		}
		return values, failed
	}
	m := fetched[T]{cache: c, values: values, failed: failed}
	for part := range slices.Chunk(missing, maxFetch) {
		m.fetch(ctx, part)
		if ctx.Err() != nil {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return values, fmt.Errorf("tiered: reading from redis: %w", err)
	}
	if m.why != nil {
		return values, fmt.Errorf("tiered: %d of %d keys can't be read: %w", m.unread, len(keys), m.why)
	}
	return values, m.failed
}

// maxFetch limits how many keys GetMany reads before it decodes them.
const maxFetch = 10 * redisconn.MaxChunk

// fetched is the state of a GetMany: the values and errors of the keys read so far.
type fetched[T any] struct {
	cache   *Cache[T]
	values  map[string]T
	unread  int   // how many keys can't be read
	why     error // the error of the first of them
	silence error // set once Redis doesn't answer: the remaining keys aren't read
	failed  error // the first error of Clone
}

// fetch reads one chunk of keys.
func (f *fetched[T]) fetch(ctx context.Context, keys []keyRef[T]) {
	c := f.cache
	if f.silence != nil {
		c.stats.countErrors(c.remote.Failed(len(keys), f.silence))
		for _, h := range keys {
			got := c.unreadable(h, record.RefreshDue, f.silence)
			if got.record == nil {
				c.missed(h.Key, &remote.Result[T]{Reply: redisconn.Reply{Err: f.silence}})
			}
			f.add(got)
		}
		return
	}
	refs := make([]keyRef[T], len(keys))
	for i, h := range keys {
		refs[i] = c.keys.Ref(h.Key, h.Hash)
	}
	defer func() {
		for _, h := range refs {
			c.keys.Release(h)
		}
	}()
	silent := 0 // unanswered keys at the end; a Cluster's other masters would have answered some in between
	var last error
	for _, got := range c.fetch(ctx, refs, record.RefreshDue) {
		if f.add(got); redisconn.IsUnresponsive(got.err) {
			silent, last = silent+1, got.err
		} else {
			silent = 0
		}
	}
	if silent >= min(len(refs), redisconn.MaxChunk) {
		f.silence = last
	}
}

// add adds the result of reading one key.
func (f *fetched[T]) add(got hit[T]) {
	if got.err != nil {
		f.unread, f.why = f.unread+1, cmp.Or(f.why, got.err)
	}
	if got.record == nil {
		return
	}
	if v, err := f.cache.valueOf(got.record); err == nil {
		f.values[got.key] = v
	} else {
		f.failed = cmp.Or(f.failed, notGiven(got.record, got.key, err))
	}
}

// notGiven returns the error of valueOf with the key, or nil for an absence, whose error is no failure.
func notGiven[T any](r *record.Record[T], key string, err error) error {
	if err == nil || r.Absent {
		return nil
	}
	return fmt.Errorf("%w (of key %q)", err, key)
}
