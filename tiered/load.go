package tiered

import (
	"context"
	"errors"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// A read that may load, from the top down:
//
//	GetOrLoad      a hit of the local tier ends here
//	  load         joins the key's flight or begins one, until a flight brings a result that the call may have
//	    lookup     reads both tiers on the caller's goroutine (lookup.go), unless Redis is expected to have nothing (absences.go)
//	    startJob   permit, lease, loader, store, on a goroutine of the cache (job.go)
//	    await      waits for the flight, for as long as the caller and its policy want (await.go)
//
// All callers of a key wait for the same flight, also the one that began it. So none of them depends on another's context.

// GetOrLoad returns the value from the local tier, else from Redis. If neither has it, GetOrLoad calls load and stores the
// result in both tiers; all callers in all processes that share the Redis wait for one load. The [Policy] says what happens
// to a value past its TTL, and when a load is slow or fails.
//
// GetOrLoad returns [ErrNotFound] for a remembered absence, the loader's error if the load failed, and ctx's error as soon as
// ctx ends; the load then continues for the other callers and for the cache, unless it still waits for a permit and no caller does
// ([Options].MaxLoads). If there is no permit for the load, the error wraps [ErrOverloaded]. If the loader panics, GetOrLoad panics with a
// *[LoaderPanic]. An error of Redis counts as a miss and is never returned. A loader may use the cache for other keys, but two
// loaders that need each other's keys wait until LoadTimeout. Asking for the key being loaded is an error. load must not be nil.
//
// The cache copies a key that it keeps, so the caller may reuse the key's memory as soon as GetOrLoad returns. This holds for
// all keys and tags passed to the methods of a Cache. The load may still be running at that time; see [Loader].
//
// A key is any string of 1 byte to 512 MiB, the limit of Redis, which includes the prefix and the cache's name: an empty or
// longer one is an error of each method. Each key is in memory once for each entry and sent with each command, so digest long
// ones (keys.Digest).
func (c *Cache[T]) GetOrLoad(ctx context.Context, key string, load Loader[T]) (T, error) {
	if load == nil || c.wrong != nil {
		return c.cannotLoad()
	}
	hash, at := c.hash(key), mono.Now()
	it := c.local.Get(key, hash, at, &c.view.Windows)
	if it != nil {
		if it.NeedsRefresh(&c.view.Windows, at) {
			c.refreshHit(ctx, it, hash, load)
		}
		return c.valueOf(&it.Record)
	}
	return c.load(ctx, &keyRef[T]{Key: key, Hash: hash}, at, load, inflight.ForRead)
}

// Refresh loads the value even if one is cached, and stores it in both tiers. The loader gets the cached value as e.Value. Callers
// that refresh a key at the same time share one load, which supersedes a load that GetOrLoad began earlier. If the source no longer
// has a value, the cached one is removed; if the load fails, it stays. Refresh returns the same errors as GetOrLoad.
func (c *Cache[T]) Refresh(ctx context.Context, key string, load Loader[T]) (T, error) {
	if load == nil || c.wrong != nil {
		return c.cannotLoad()
	}
	return c.load(ctx, &keyRef[T]{Key: key, Hash: c.hash(key)}, mono.Now(), load, inflight.ForRefresh)
}

// cannotLoad returns the error of a call without a loader, or of a cache that can't be used.
func (c *Cache[T]) cannotLoad() (none T, err error) {
	if c.wrong != nil {
		return none, c.wrong
	}
	return none, errNoLoader
}

// load waits for the key's flight, and starts one if there is none.
func (c *Cache[T]) load(ctx context.Context, k *keyRef[T], at mono.Instant, load Loader[T], why inflight.Reason) (none T, err error) {
	if err := c.usable(k.Key); err != nil {
		return none, err
	}
	invalidations := c.tags.Invalidations()
	retry := false
	for {
		f, mine := c.join(ctx, k, at, why, retry)
		j := joined[T]{flight: f, at: at, mine: mine, late: !mine && f.Finished(), invalidations: invalidations}
		switch {
		case mine:
			c.lookupOrStart(ctx, f, load)
		case f.Owner.Within(ctx):
			return none, errOwnKey
		default:
			c.stats.collapsed.Add(1)
		}
		r, offered, err := c.awaitJoined(ctx, &j, why, true)
		tooShort := f.Limit < c.policy.LoadTimeout && errors.Is(err, context.DeadlineExceeded) // the LoadTimeout of another view
		leavesOld := f.Reason == inflight.ForRefresh && why != inflight.ForRefresh             // a Refresh that failed
		takesFailure := ctx.Err() != nil || !j.late && !tooShort && !leavesOld
		switch {
		case !c.settles(&j, r, offered, takesFailure):
		case err != nil:
			return none, err
		default:
			return c.giveResult(ctx, f, r, offered)
		}
		retry = retry || tooShort
		at = mono.Now()
		c.keys.Dismiss(f)
	}
}

// join joins the key's flight, or begins one; mine: it did.
func (c *Cache[T]) join(ctx context.Context, k *keyRef[T], at mono.Instant, why inflight.Reason, retry bool) (f *flight[T], mine bool) {
	return c.keys.Join(ctx, k.Key, k.Hash, why, &joinOptions[T]{
		Start: at, Limit: c.policy.LoadTimeout, Retry: retry, Urgent: inflight.Loading(ctx, c.base),
	})
}

// refreshHit refreshes the key of an item that was hit in the local tier, in the background.
func (c *Cache[T]) refreshHit(ctx context.Context, it *local.Item[T], hash uint64, load Loader[T]) {
	c.noteStale(ctx, it.Key, &it.Record, nil)
	c.refreshInBackground(ctx, []keyRef[T]{{Key: it.Key, Hash: hash}}, c.loading(load))
}

// lookupOrStart looks up the flight's key and starts a job for the flight if the lookup doesn't finish it. Where Redis is expected to
// have no value, it starts the job at once, if there is a permit for the load.
func (c *Cache[T]) lookupOrStart(ctx context.Context, f *flight[T], load Loader[T]) {
	one := [...]*flight[T]{f}
	if c.absences.expected() && c.canLookUp(one[:]) {
		j := &job[T]{caller: ctx, owner: f.Owner, only: one, load: c.loading(load)}
		j.flights = j.only[:]
		if j.leasesFirst = c.permits.AcquireFree(&j.permit); j.leasesFirst {
			f.State.began = c.tags.Invalidations()
			c.startJob(j)
			return
		}
	}
	rest, due := c.lookup(ctx, one[:])
	if len(rest) > 0 {
		c.startJob(&job[T]{caller: ctx, owner: f.Owner, flights: rest, load: c.loading(load)})
	}
	if len(due) > 0 {
		c.refreshInBackground(ctx, due, c.loading(load))
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
		tk.Err = err
		return c.setResult(tk, &e, value, err != nil)
	}
}
