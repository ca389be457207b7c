package tiered

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/inspect"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// What a cache reports to those who operate it. Package internal/inspect reads the tiers, and has the last misses and loads.

// Name returns the cache's name.
func (c *Cache[T]) Name() string { return c.name }

// TierStats is Stats. Caches of other packages that are made of tiers, such as httpcache.Cache, have it too, beside a Stats of their own.
func (c *Cache[T]) TierStats() Stats { return c.Stats() }

// inspected returns the parts of the cache that an inspection reads, or an error if the cache can't be used.
func (c *Cache[T]) inspected(keys ...string) (*inspect.Tiers[T], error) {
	return &inspect.Tiers[T]{Local: c.local, Remote: c.remote, Index: c.tags, Policy: &c.view}, c.usable(keys...)
}

// Inspect reports what both tiers have for a key, and what GetOrLoad would do now, and why. It changes nothing: it fills no tier, takes
// no lease, and isn't counted in Stats (ristretto counts it as a read of the key when it decides what to evict). It asks Redis with up to
// three round trips. If Redis can't be read, that is part of what it reports. It returns an error if the key is invalid or the cache is
// closed.
func (c *Cache[T]) Inspect(ctx context.Context, key string) (inspection.Key, error) {
	t, err := c.inspected(key)
	if err != nil {
		return inspection.Key{}, err
	}
	k, hash := inspection.Key{Key: key, Events: c.eventLog.Of(key)}, c.hash(key)
	k.Queued = c.remote != nil && c.queue.Hides(key)
	switch f := c.keys.Joinable(key, hash); {
	case f == nil:
	case !f.Finished():
		k.Loading = true
	case f.Err != nil:
		k.Failure, k.RetryIn = f.Err, c.retries.Left(f)
	}
	return t.Key(ctx, k, hash), nil
}

// Keys returns a page of about n of the keys that begin with the prefix, from Redis or, if the cache is in-process only, from memory.
// cursor is "", or the Next of the page before. n is 1 to 1,000.
//
// Redis has no index of keys. Keys reads all keys of all masters with SCAN, which the user must have the right to (+scan), a part with each
// call: at most 16 commands, each of which looks at 1,000 keys at most. So a page may be empty though others follow. A key that is there
// all the time is on at least one page, those that come or go meanwhile may be missing. Keys under which Redis only has a lease,
// or a value of another release, are listed too. The same holds in memory, where a call looks at about 30,000 entries.
func (c *Cache[T]) Keys(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error) {
	t, err := c.inspected()
	if err != nil {
		return inspection.Page{}, err
	}
	return t.Keys(ctx, prefix, cursor, n)
}

// Tags returns a page of about n of the tags that begin with the prefix, as Keys does: those of which Redis has a record, or, if
// the cache is in-process only, this process. A tag's record is kept for a day, or longer if its values are.
func (c *Cache[T]) Tags(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error) {
	t, err := c.inspected()
	if err != nil {
		return inspection.Page{}, err
	}
	return t.Tags(ctx, prefix, cursor, n)
}

// InspectTag reports what is known of a tag. It looks through the local tier for entries that have it.
func (c *Cache[T]) InspectTag(ctx context.Context, tag string) (inspection.Tag, error) {
	t, err := c.inspected()
	if err != nil {
		return inspection.Tag{}, err
	}
	return t.Tag(ctx, tag), nil
}

// HotKeys returns the n keys of the local tier that are read most, the most first. It is an estimate from a sample of up to 4,096 hits, of
// which each part of the cache takes about one a second, from the first call on until ten minutes after the last one. So the first call
// returns nothing, and keys that the local tier doesn't hold, or that are always read from Redis, are missing.
func (c *Cache[T]) HotKeys(n int) []inspection.HotKey {
	all := c.local.Sample(10 * time.Minute)
	slices.SortFunc(all, func(a, b local.Hot) int { return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Key, b.Key)) })
	hot := make([]inspection.HotKey, min(max(n, 0), len(all)))
	for i := range hot {
		hot[i] = inspection.HotKey(all[i])
	}
	return hot
}

// Servers returns the servers of the cache's Redis with the streams of invalidations from them, in the order of their addresses; none if
// the cache is in-process only. It sends nothing to Redis. With PubSub a Cluster has one stream for all its servers.
func (c *Cache[T]) Servers() (all []inspection.Server) {
	if c.redis == nil {
		return nil
	}
	for _, p := range c.redis.streams.Proofs() {
		all = append(all, inspection.Server{Addr: p.Addr, Watched: p.Watched, Proof: p.Age, Proved: p.Proved, ProvedFor: p.ProvedFor, Err: p.Err})
	}
	return all
}

// Events returns the last misses and loads of this process, the newest first, at most 1,024. They are recorded from the first call on,
// until ten minutes after the last one, so the first call returns none. Those of keys over 4 kB aren't recorded.
func (c *Cache[T]) Events() []inspection.Event { return c.eventLog.All() }

// recordMisses records the misses that make a load necessary. It returns the present instant, or 0 if events aren't recorded.
func (c *core[T]) recordMisses(tasks []*task[T]) mono.Instant {
	if !c.eventLog.On() {
		return 0
	}
	for _, tk := range tasks {
		found := &tk.Found
		if c.remote == nil {
			found = nil
		}
		c.eventLog.Missed(tk.Flight.Key, inspect.MissReason(found))
	}
	return mono.Now()
}

// missed counts the miss of a read without a loader, which found f in Redis, and records it; nil: there is no Redis.
func (c *core[T]) missed(key string, f *remote.Result[T]) {
	c.stats.misses.Add(1)
	if c.eventLog.On() {
		c.eventLog.Missed(key, inspect.MissReason(f))
	}
}

// recordLoads records that a loader has returned the results of the tasks. began is what recordMisses returned.
func (c *core[T]) recordLoads(tasks []*task[T], began mono.Instant) {
	if began == 0 {
		return
	}
	for _, tk := range tasks {
		if tk.Result != nil {
			c.eventLog.Loaded(tk.Flight.Key, mono.Now().Since(began))
		}
	}
}
