package tiered

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/values"
)

// A batch is many reads that share what can be shared: one lookup, one job, one call of the loader, one request to each server for
// reading, for leases and for storing. Each id still has a flight of its own, so single reads and other batches that want
// the same key wait for it, and the batch waits for theirs. A batch goes in rounds like a single read (load.go): an id whose
// flight belonged to another call and failed gets a flight of the batch's own in the next round.

// GetOrLoadMany returns the cached values of the ids, and loads the missing ones with one call of load. That call gets only the ids
// that no other call, in this process or another, is loading already; GetOrLoadMany waits for those. Ids for which such a load
// brings no value are loaded in further calls: the failure, or panic, of another caller's load isn't the batch's. (Of several
// batches that wait for the same load, one loads again for all; if that fails too, the next load is the last.) Calls of load run one
// at a time, with two exceptions, in which others may begin while a call runs: the call is overdue (LoadTimeout), or all its ids have
// been served from cached values (SoftTimeout). Redis is read in one round trip, leases are taken in one, and values are stored in
// one (per node of a Cluster); many ids are split into chunks, as by [Cache.GetMany] and [Cache.SetMany]. Ids that can't be read from
// Redis are loaded; a reply that is only slow is waited for. [Policy].LoadTimeout limits the whole, as for one load. key returns an
// id's cache key; ids with the same key have the same value. If a key is invalid, nothing is loaded.
//
// Ids that load leaves out of its map don't exist: GetOrLoadMany leaves them out too, and remembers them for
// [Policy].NotFoundTTL. If load fails, GetOrLoadMany returns the values that it found with load's error; values that load returned
// with the error count. Ids that need only a refresh or revalidation are passed to load in background calls, which may run at the
// same time as others, and after GetOrLoadMany has returned. A value that replaces another gets the tags of the old one. The rules
// for contexts, panics and loaders are those of GetOrLoad. It is a function because a method can't have the type parameter K.
//
// load gets copies of ids that are strings, or structs and arrays of strings. Memory to which an id refers by a pointer or an
// interface must not change before the id's load ends, which may be after GetOrLoadMany returns. The keys of the returned map may be
// the ids as they were passed: don't reuse their memory while the map is in use.
func GetOrLoadMany[K comparable, T any](ctx context.Context, c *Cache[T], ids []K,

	key func(K) string, load func(context.Context, []K) (map[K]T, error)) (map[K]T, error) {
	if load == nil {
		return GetOrLoadEntries(ctx, c, ids, key, nil)
	}
	return GetOrLoadEntries(ctx, c, ids, key, func(ctx context.Context, ids []K, _ []*Entry[T]) (map[K]T, error) {
		return load(ctx, ids)
	})
}

// GetOrLoadEntries is like GetOrLoadMany, but load also gets the entries: entries[i] is the entry of ids[i], as a [Loader] gets
// one. It has the value to be replaced, which load returns again if the source has no newer one. Changes of its Policy and Tags
// apply to the value that load returns for the id, or to the id's absence.
func GetOrLoadEntries[K comparable, T any](ctx context.Context, c *Cache[T], ids []K, key func(K) string,

	load func(ctx context.Context, ids []K, entries []*Entry[T]) (map[K]T, error)) (map[K]T, error) {
	switch {
	case c.wrong != nil:
		return nil, c.wrong
	case load == nil:
		return nil, errNoLoader
	case key == nil:
		return nil, errNoKey
	}
	b, err := newBatch(ctx, c, ids, key)
	if err != nil {
		return b.values, err
	}
	b.load, err = load, b.failed
	if len(b.due) > 0 {
		c.refreshInBackground(ctx, b.due, b.loader(nil))
	}
	for round, open := 0, len(b.items); open > 0; round++ {
		b.retry = round >= 2
		var failed error
		open, failed = b.run(ctx, open)
		err = cmp.Or(err, failed)
	}
	return b.values, err
}

// batch is one call of GetOrLoadEntries.
type batch[K comparable, T any] struct {
	cache   *Cache[T]
	load    func(context.Context, []K, []*Entry[T]) (map[K]T, error)
	values  map[K]T           // the values found and loaded
	failed  error             // the first error of Clone for values of the local tier
	items   []batchItem[K, T] // one for each id that the local tier doesn't have
	owner   *inflight.Owner   // of the flights that the batch begins
	retry   bool              // the flights that it begins are retries
	strings []uintptr         // the offsets of the strings in an id

	due    []keyRef[T] // keys whose values were found and are due for a refresh
	dueIDs []K         // their ids

	mapIDs sync.Once
	ids    map[string]K // by key
}

// batchItem is an id and the flight that brings its value.
type batchItem[K comparable, T any] struct {
	id        K
	key       string
	hash      uint64
	joined[T]      // its flight is nil if the caller is the loader of this very id
	done      bool // the id has its value or its error
}

// newBatch looks the ids up in the local tier. It returns an error if a key is invalid; nothing is loaded then.
func newBatch[K comparable, T any](ctx context.Context, c *Cache[T], ids []K, key func(K) string) (*batch[K, T], error) {
	b := &batch[K, T]{cache: c, values: make(map[K]T, len(ids)), owner: new(inflight.Owner), strings: values.StringsIn(reflect.TypeFor[K]())}
	if c.life.Closed() {
		return b, ErrClosed
	}
	at := mono.Now()
	for i, id := range ids {
		k := key(id)
		hash := c.hash(k)
		it := c.local.Get(k, hash, at, &c.view.Windows)
		if it != nil {
			if it.NeedsRefresh(&c.view.Windows, at) {
				c.noteStale(ctx, it.Key, &it.Record, nil)
				b.dueIDs = append(b.dueIDs, values.OwnID(id, b.strings))
				b.due = append(b.due, keyRef[T]{Key: it.Key, Hash: hash})
			}
			v, failed := c.valueOf(&it.Record)
			if failed == nil {
				b.values[id] = v
			}
			b.failed = cmp.Or(b.failed, notGiven(&it.Record, k, failed))
			continue
		}
		if err := c.usable(k); err != nil {
			return b, err
		}
		if b.items == nil {
			b.items = make([]batchItem[K, T], 0, len(ids)-i)
		}
		b.items = append(b.items, batchItem[K, T]{id: values.OwnID(id, b.strings), key: strings.Clone(k), hash: hash})
	}
	return b, nil
}

// run joins or begins a flight for each open item and waits for all of them. It returns how many items are still open.
func (b *batch[K, T]) run(ctx context.Context, open int) (left int, firstErr error) {
	c := b.cache
	own, firstErr := b.join(ctx, open)
	if len(own) > 0 {
		t := inflight.NewTurn()
		defer t.End()
		rest, due := c.lookup(ctx, own)
		if len(rest) > 0 {
			c.startJob(&job[T]{caller: ctx, owner: b.owner, flights: rest, load: b.loader(t)})
		}
		if len(due) > 0 {
			c.refreshInBackground(ctx, due, b.loader(t))
		}
	}
	for i := range b.items {
		s := &b.items[i]
		if s.done {
			continue
		}
		err := b.collect(ctx, s)
		firstErr = cmp.Or(firstErr, err)
		if !s.done {
			left++
			c.keys.Dismiss(s.flight)
		}
	}
	return left, firstErr
}

// join joins or begins a flight for each open item, and returns the new flights.
func (b *batch[K, T]) join(ctx context.Context, open int) (own []*flight[T], firstErr error) {
	c := b.cache
	own = make([]*flight[T], 0, open)
	invalidations := c.tags.Invalidations()
	fl := joinOptions[T]{Owner: b.owner, Start: mono.Now(), OwnedKeys: true, Size: open, Limit: c.policy.LoadTimeout, Retry: b.retry, Urgent: inflight.Loading(ctx, c.base)}
	for i := range b.items {
		s := &b.items[i]
		if s.done {
			continue
		}
		f, mine := c.keys.Join(ctx, s.key, s.hash, inflight.ForRead, &fl)
		s.joined = joined[T]{flight: f, at: fl.Start, mine: f.Owner == b.owner, invalidations: invalidations} // perhaps begun for another id with its key
		switch {
		case mine:
			own = append(own, f)
		case f.Owner.Within(ctx):
			firstErr = cmp.Or(firstErr, errOwnKey)
			s.flight, s.done = nil, true
		case !s.mine:
			c.stats.collapsed.Add(1)
			s.late = f.Finished()
		}
	}
	return own, firstErr
}

// collect waits for the item's flight. The item stays open if it needs another flight. In a retry, the failure of a flight that
// another caller began counts like that of the batch's own.
func (b *batch[K, T]) collect(ctx context.Context, s *batchItem[K, T]) error {
	c := b.cache
	r, offered, err := c.awaitJoined(ctx, &s.joined, inflight.ForRead, s.mine)
	if !c.settles(&s.joined, r, offered, ctx.Err() != nil || !s.late && b.retry) {
		return nil
	}
	s.done = true
	if r == nil {
		return err
	}
	v, err := c.giveResult(ctx, s.flight, r, offered)
	if err == nil {
		b.values[s.id] = v
	}
	return notGiven(r, s.key, err)
}

// loader returns loadTasks as the load function of a job. Calls with the same turn run one at a time.
func (b *batch[K, T]) loader(t *inflight.Turn) func(context.Context, []*task[T]) error {
	return func(ctx context.Context, tasks []*task[T]) error {
		if tasks[0].Flight.Reason == inflight.ForBackground {
			return b.loadTasks(ctx, tasks) // callers that wait for other keys don't wait for a refresh
		}
		done, err := t.Acquire(ctx, b.cache.policy.SoftTimeout, func() bool { return b.cache.haveFallbacks(tasks) }, tasks[0].Flight.Start)
		if err != nil {
			return err
		}
		defer done()
		return b.loadTasks(ctx, tasks)
	}
}

// loadTasks calls the batch's loader for the tasks. Of several ids with one key, the loader gets the first.
func (b *batch[K, T]) loadTasks(ctx context.Context, tasks []*task[T]) error {
	b.mapIDs.Do(b.mapKeysToIDs)
	ids := make([]K, len(tasks))
	entries, lent := make([]Entry[T], len(tasks)), make([]*Entry[T], len(tasks))
	for i, tk := range tasks {
		ids[i] = b.ids[tk.Flight.Key]
		entries[i] = b.cache.entry(tk)
		lent[i] = &entries[i]
	}
	values, err := b.load(ctx, ids, lent)
	failed := err != nil && !errors.Is(err, ErrNotFound)
	var wrong error
	for i, tk := range tasks {
		v, ok := values[b.ids[tk.Flight.Key]] // not ids[i]: load may have reordered ids
		if ok || !failed {
			wrong = cmp.Or(wrong, b.cache.setResult(tk, &entries[i], v, !ok))
		}
	}
	if failed {
		return err
	}
	return wrong
}

// mapKeysToIDs maps the keys of the ids that may have to be loaded to the ids.
func (b *batch[K, T]) mapKeysToIDs() {
	b.ids = make(map[string]K, len(b.items)+len(b.dueIDs))
	for i := len(b.dueIDs) - 1; i >= 0; i-- {
		b.ids[b.due[i].Key] = b.dueIDs[i]
	}
	for i := len(b.items) - 1; i >= 0; i-- { // backwards, so that the first id of a key stays
		b.ids[b.items[i].key] = b.items[i].id
	}
}

// haveFallbacks reports whether each of the tasks has a fallback that is served when the load takes longer than SoftTimeout.
func (c *Cache[T]) haveFallbacks(tasks []*task[T]) bool {
	for _, tk := range tasks {
		if c.fallbackOf(tk.Flight, record.IfError) == nil {
			return false
		}
	}
	return true
}
