package tiered

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// GetOrLoad returns the value from the local tier, else from Redis. If neither has it, GetOrLoad calls load and stores the
// result in both tiers; all callers in all processes that share the Redis wait for one load. The [Policy] says what happens
// to a value past its TTL, and when a load is slow or fails.
//
// GetOrLoad returns [ErrNotFound] for a remembered absence, the loader's error if the load failed, and ctx's error as soon as
// ctx ends; the load then continues for the other callers and for the cache. If the loader panics, GetOrLoad panics with a
// *[LoaderPanic]. An error of Redis counts as a miss and is never returned. A loader may use the cache for other keys, but two
// loaders that need each other's keys wait until LoadTimeout. Asking for the key being loaded is an error. load must not be nil.
//
// The cache copies a key that it keeps, so the caller may reuse the key's memory as soon as GetOrLoad returns. This holds for
// all keys and tags passed to the methods of a Cache. The load may still be running at that time; see [Loader].
func (c *Cache[T]) GetOrLoad(ctx context.Context, key string, load Loader[T]) (T, error) {
	if load == nil || c.wrong != nil {
		var none T
		return none, cmp.Or(c.wrong, errNoLoader)
	}
	hash, at := c.hash(key), mono.Now()
	it, sets := c.local.Get(key, hash, at, &c.view.Windows)
	if it != nil {
		if it.NeedsRefresh(&c.view.Windows, at) {
			c.noteStale(ctx, it.Key, &it.Record, nil)
			c.refreshBehind(ctx, []keyRef[T]{{Key: it.Key, Hash: hash}}, c.loading(load))
		}
		return c.valueOf(&it.Record)
	}
	return c.load(ctx, local.Miss{Key: key, Hash: hash, At: at, Sets: sets}, load, inflight.ForRead)
}

// load waits for the key's flight, and starts one if there is none.
func (c *Cache[T]) load(ctx context.Context, s local.Miss, load Loader[T], why inflight.Reason) (none T, err error) {
	if err := c.usable(s.Key); err != nil {
		return none, err
	}
	invalidated := c.tags.Invalidations()
	retry := false
	for {
		f, mine := c.keys.Join(ctx, s.Key, s.Hash, why, &joinOptions[T]{Owner: new(inflight.Owner), Start: s.At, Limit: c.policy.LoadTimeout, Retry: retry})
		late := !mine && f.Finished()
		switch {
		case mine:
			f.State.missedLocally = c.local.StillMissing(s)
			c.lookupOrStart(ctx, f, load)
		case f.Owner.Within(ctx):
			return none, errOwnKey
		default:
			c.stats.collapsed.Add(1)
		}
		r, offered, err := c.await(ctx, f, why, true)
		switch {
		case late && f.State.unstorable: // a background load's result that can't be stored is served only to callers that waited for it
		case r != nil && (mine || offered || f.State.began >= invalidated || len(r.Tags) == 0):
			if err != nil {
				return none, err
			}
			return c.giveResult(ctx, f, r, offered)
		case r != nil: // this process may have invalidated it after the flight began and before this call
		case ctx.Err() != nil:
			return none, err
		case !mine && f.Limit < c.policy.LoadTimeout && errors.Is(err, context.DeadlineExceeded):
			retry = true // the LoadTimeout of another view, shorter than this one's, has passed
		case !late && (f.Reason != inflight.ForRefresh || why == inflight.ForRefresh):
			return none, err
		}
		s.At, s.Sets = mono.Now(), local.Unknown
		c.keys.Dismiss(f) // a failed Refresh leaves the old value in place, and an earlier failure isn't this call's
	}
}

// lookupOrStart looks up the flight's key and starts a job for the flight if the lookup doesn't finish it.
func (c *Cache[T]) lookupOrStart(ctx context.Context, f *flight[T], load Loader[T]) {
	one := [...]*flight[T]{f}
	rest, renews := c.lookup(ctx, one[:])
	if len(rest) > 0 {
		c.startJob(ctx, f.Owner, rest, c.loading(load))
	}
	if len(renews) > 0 {
		c.refreshBehind(ctx, renews, c.loading(load))
	}
}

// loading wraps a loader of one key as the load function of a job.
func (c *Cache[T]) loading(load Loader[T]) func(context.Context, []*task[T]) error {
	return func(ctx context.Context, tasks []*task[T]) error {
		tk := tasks[0]
		e := c.entry(tk)
		value, err := load(ctx, &e)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		tk.err = err
		return c.setResult(tk, &e, value, err != nil)
	}
}

// entry returns the entry that the task's load will replace, for the loader. If Clone fails on the value, the entry has only
// the tags, so that the new value keeps them.
func (c *Cache[T]) entry(tk *task[T]) Entry[T] {
	none := Entry[T]{Key: tk.flight.Key, Policy: c.policy}
	r := tk.found.Record
	if r == nil {
		return none
	}
	e := entryOf(r, tk.flight.Key, c.policy, tk.tier, mono.Now())
	var err error
	if e.Value, err = c.valueOf(r); err != nil && !r.Absent {
		none.Tags = e.Tags
		return none
	}
	return e
}

// setResult sets the task's result to the value, or to its absence, with the policy and tags that the loader left in e. If the
// tags are invalid it returns an error and sets no result.
func (c *Cache[T]) setResult(tk *task[T], e *Entry[T], value T, absent bool) error {
	tags, err := wire.TagSet(wire.CloneTags(e.Tags))
	if err != nil {
		return fmt.Errorf("%w (set by the loader of %q)", err, tk.flight.Key)
	}
	tk.policy = e.Policy
	if d := e.Policy.keeps(absent); d > 0 && d < minDuration {
		c.logUncaught(&c.unkept, "tiered: a loader's value isn't stored", tk.flight.Key, fmt.Errorf("its TTL is %v: want at least %v", d, minDuration))
	}
	tk.result = c.newResult(tk, value, absent, tags)
	return nil
}

// newResult returns a record of the value that the task's load returned. The tags must come from wire.TagSet. A value on which
// Clone or Cost fails is returned to the callers but not stored.
func (c *Cache[T]) newResult(tk *task[T], value T, absent bool, tags []string) *record.Record[T] {
	tk.unstorable = nil
	if c.values.Clone != nil && !absent {
		var clone T
		if clone, tk.unstorable = c.values.Copy(value); tk.unstorable == nil {
			value = clone
		}
	}
	r := record.New(value, absent, tk.policy.freshFor(absent), tk.stamp.Stamp(tags))
	r.Took = r.Created.Since(tk.began)
	own := tk.policy.windows()
	if own != c.view.Windows {
		r.Windows = &own
	}
	r.DrawEarly(&own, tk.policy.Jitter)
	if !absent && tk.unstorable == nil {
		r.Cost, tk.unstorable = c.values.Weigh(&r.Value)
	}
	return r
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
	results := c.remote.Read(ctx, keysOfRefs(refs), &c.view, how)
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
			f.Record, f.Vacant = nil, true
		default:
			f.Deps = bound[i]
			f.Deps.Validity, f.Deps.Feed = f.Validity, f.Feed
		}
	}
	return results
}

// keysOfRefs returns the keys of the references.
func keysOfRefs[T any](refs []keyRef[T]) []string {
	keys := make([]string, len(refs))
	for i, h := range refs {
		keys[i] = h.Key
	}
	return keys
}

// hit is the result of reading a key: the record and its tier. The record is nil if there is none, or none of use.
// The key is the cache's own copy.
type hit[T any] struct {
	record *record.Record[T]
	tier   Tier
	key    string
	err    error // Redis can't be read, and the local tier has no substitute
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
			c.stats.misses.Add(1)
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
	it := c.local.NewItem(h.Key, h.Hash, f.Record, *f.Deps, c.policy.localUntil(mono.Now(), f.Record.FreshUntil))
	c.keys.PutRead(h, it)
	return it
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
		c.stats.misses.Add(1)
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

// finishFlight ends a flight. The next caller for its key starts a new one.
func (c *Cache[T]) finishFlight(f *flight[T], r *record.Record[T], err error) {
	c.keys.Leave(f)
	f.Finish(r, err)
}

// loadError returns the error that the callers of a load get, and counts the failure. It returns nil for ErrNotFound.
func (c *Cache[T]) loadError(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	c.stats.loadErrors.Add(1)
	return err
}

// overdue returns the error of a load whose context ended.
func (c *Cache[T]) overdue(timed context.Context) error {
	if c.life.Closed() {
		return ErrClosed
	}
	return fmt.Errorf("tiered: the load took longer than LoadTimeout (%v): %w", c.policy.LoadTimeout, timed.Err())
}
