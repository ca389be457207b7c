package tiered

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// job brings the flight of one key, or the flights of a batch, to their results. It reads both tiers, loads the values for
// which it gets a lease, and waits for the values that other processes load.
type job[T any] struct {
	cache      *Cache[T]
	caller     context.Context
	owner      *inflight.Owner
	flights    []*flight[T] // those that haven't finished
	load       func(ctx context.Context, tasks []*task[T]) error
	timed      context.Context
	leases     *remote.HeldLeases[T]
	waits      remote.LeaseWaiter[*flight[T]]
	loading    bool        // the loader was called
	readBefore bool        // Redis was asked
	refreshes  []keyRef[T] // keys whose values were served and are due for a refresh
	slot       bool        // the job holds one of the cache's renewals

	// finishing is set while one goroutine has the right to finish the flights: the job's own, or, if the job's time ends
	// while that goroutine is in the loader or waiting, the one that interrupts the job.
	finishing atomic.Bool
	finishes  bool // the job's goroutine has the right
}

// startJob starts a job for new flights, with or without a lookup before it.
func (c *Cache[T]) startJob(caller context.Context, p *inflight.Owner, flights []*flight[T], load func(context.Context, []*task[T]) error) {
	t := &job[T]{cache: c, caller: caller, owner: p, flights: flights, load: load}
	t.finishes, t.slot = t.beginFinishing(), flights[0].Reason == inflight.ForBackground
	if !c.life.Begin() {
		t.fail(ErrClosed)
		t.releaseSlot()
		return
	}
	t.start()
}

// maxRenewals limits a cache's concurrent background loads. Beyond it no load is begun: the next hit tries again.
const maxRenewals = 64

// refreshBehind starts a background load of those keys that have no flight yet, and doesn't wait for it. The keys must be the
// cache's own copies.
func (c *Cache[T]) refreshBehind(ctx context.Context, keys []keyRef[T], load func(context.Context, []*task[T]) error) {
	select {
	case c.renewals <- struct{}{}:
	default:
		return
	}
	fl := joinOptions[T]{Owner: new(inflight.Owner), Start: mono.Now(), Limit: c.policy.LoadTimeout, OwnedKeys: true, Size: len(keys)}
	var own []*flight[T]
	for _, k := range keys {
		if f, mine := c.keys.Join(ctx, k.Key, k.Hash, inflight.ForBackground, &fl); mine {
			own = append(own, f)
		}
	}
	if len(own) == 0 {
		<-c.renewals
		return
	}
	began := c.tags.Invalidations()
	for _, f := range own {
		f.State.began = began
	}
	c.stats.refreshes.Add(uint64(len(own)))
	c.startJob(ctx, fl.Owner, own, load)
}

// start runs the job in a goroutine of its own. Its context is made here, because that would make the goroutine's stack grow. If
// the context ends while the job is in the loader or waiting, interrupt finishes the flights.
func (t *job[T]) start() {
	timed, done := inflight.NewContext(t.cache.base, t.caller, t.owner, t.cache.policy.LoadTimeout, t.interrupt)
	t.timed = timed
	go t.run(done)
}

// releaseSlot frees the job's slot among the background loads, if it has one.
func (t *job[T]) releaseSlot() {
	if t.slot {
		<-t.cache.renewals
	}
}

// beginFinishing acquires the right to finish the flights, and reports whether it did.
func (t *job[T]) beginFinishing() bool { return t.finishing.CompareAndSwap(false, true) }

// run finishes every flight of the job, unless the job's time is over first. It calls done before it returns.
func (t *job[T]) run(done func()) {
	defer t.releaseSlot() // a loader that doesn't return keeps the slot
	defer t.end(done)
	for len(t.flights) > 0 {
		if t.timed.Err() != nil {
			t.overdue()
			return
		}
		tasks, waiting := t.look()
		if len(tasks) > 0 {
			t.split(waiting)
			if !t.loadTasks(tasks) {
				return
			}
		} else if t.waits.All(waiting) && !t.interruptible(func() { t.waits.Wait(t.timed, (*flight[T]).Finished) }) {
			return
		}
	}
}

// interrupt finishes the remaining flights when the job's context ends while the job is in the loader or waiting.
func (t *job[T]) interrupt() {
	if t.beginFinishing() {
		defer t.cache.life.End()
		t.overdue()
		t.leases.Release()
	}
}

// interruptible runs f, and lets interrupt finish the flights meanwhile. It reports whether this job must still finish them.
func (t *job[T]) interruptible(f func()) bool {
	t.finishes = false
	t.finishing.Store(false)
	if t.timed.Err() == nil { // if it has ended, interrupt may have run before the release
		f()
	}
	t.finishes = t.beginFinishing()
	return t.finishes
}

// split hands the waiting flights to a job of their own, so that their callers don't wait for this job's load.
func (t *job[T]) split(waiting []*flight[T]) {
	if len(waiting) == 0 || !t.cache.life.Begin() {
		return
	}
	for _, f := range waiting {
		t.waits.Remove(f)
		t.cache.keys.StopListening(f)
	}
	t.flights = t.others(waiting)
	other := &job[T]{cache: t.cache, caller: t.caller, owner: t.owner, flights: waiting, load: t.load, readBefore: t.readBefore}
	other.finishes = other.beginFinishing()
	other.start()
}

// end finishes the remaining flights after a panic or a Goexit in the loader or in the value's methods.
func (t *job[T]) end(done func()) {
	thrown := recover()
	late := !t.finishes && t.timed.Err() != nil // the loader's time was over before it panicked
	done()
	if !t.finishes && !t.beginFinishing() {
		return // its time was over first
	}
	defer t.cache.life.End()
	switch t.dropFinished(); {
	case len(t.flights) == 0:
	case late:
		t.overdue()
	default:
		t.cache.stats.loadErrors.Add(1)
		t.failPanicked(panicError(thrown))
	}
	t.leases.Release()
}

// look finishes the flights whose values the tiers have. It returns the tasks that this job must load, and the flights that wait
// for another load.
func (t *job[T]) look() (tasks []*task[T], waiting []*flight[T]) {
	c := t.cache
	began := mono.Now()
	_, err := c.tags.Epoch(t.timed) // items of the local tier may depend on it
	t.readLocal()
	if c.remote == nil {
		for _, f := range t.flights {
			tk := t.newTask(f, remote.Result[T]{})
			tk.began = began
			tasks = append(tasks, tk)
		}
		return t.acquireLeases(tasks, nil, nil, nil), nil
	}
	var free, refreshing []*task[T]
	awaited := slices.DeleteFunc(slices.Clone(t.flights), func(f *flight[T]) bool { return !t.waits.Due(f, !c.keys.IsCurrent(f)) })
	for i, fd := range t.readRemote(awaited, err) {
		f := awaited[i]
		fd.DropExpiring()
		tk := t.newTask(f, fd)
		tk.began = began
		switch use := fd.Use(&c.view.Windows); {
		case fd.Err != nil:
			if !t.finishUnverified(f, fd.Err) {
				tasks = append(tasks, tk) // without a lease
			}
		case f.Reason == inflight.ForRead && use >= record.WhileRevalidate, f.Reason == inflight.ForBackground && use == record.Good:
			c.stats.remoteHits.Add(1)
			c.fill(f.Ref, fd)
			t.serve(f, fd.Record)
		case fd.Lease != nil && t.leases.Owns(fd.Seen):
			tk.leased = primaryLease
			tasks = append(tasks, tk)
			t.leases.Add(f.Key)
		case f.Reason != inflight.ForRefresh && fd.Lease != nil && t.waits.Add(f, fd.Lease, fd.Reply):
		case fd.Leasable():
			free = append(free, tk)
		case f.Reason != inflight.ForRefresh && fd.Framed():
			f.State.fallback.make(c.fill(f.Ref, fd), fromRemote)
			refreshing = append(refreshing, tk)
		default:
			tasks = append(tasks, tk) // the old value stays until a newer one is stored
		}
	}
	t.dropFinished()
	t.startRefreshes()
	tasks = t.acquireLeases(tasks, free, refreshing, err)
	claimed := make([]*flight[T], len(tasks))
	for i, tk := range tasks {
		claimed[i] = tk.flight
	}
	return tasks, t.others(claimed)
}

// others returns the job's flights that aren't among these.
func (t *job[T]) others(these []*flight[T]) []*flight[T] {
	if len(these) == len(t.flights) {
		return nil
	}
	among := make(map[*flight[T]]bool, len(these))
	for _, f := range these {
		among[f] = true
	}
	return slices.DeleteFunc(slices.Clone(t.flights), func(f *flight[T]) bool { return among[f] })
}

// readLocal reads the local tier again, since another flight may have stored a value after the callers' reads. It finishes the
// flights that it can and sets the fallbacks of the others.
func (t *job[T]) readLocal() {
	for _, f := range t.flights {
		if r := t.cache.localRecord(f, mono.Now()); r != nil {
			t.serve(f, r)
		}
	}
	t.dropFinished()
	t.startRefreshes()
}

// serve finishes a flight with a record from one of the tiers.
func (t *job[T]) serve(f *flight[T], r *record.Record[T]) {
	c, at := t.cache, mono.Now()
	if r.Use(&c.view.Windows, at) < record.Good {
		t.refreshes = append(t.refreshes, keyRef[T]{Key: f.Key, Hash: f.Hash})
	}
	f.State.stale = r.Stale(at)
	c.finishFlight(f, r, nil)
}

// startRefreshes starts a background load of the values that were served and are due for a refresh.
func (t *job[T]) startRefreshes() {
	if keys := t.refreshes; len(keys) > 0 {
		t.refreshes = nil
		t.cache.refreshBehind(t.caller, keys, t.load)
	}
}

// readRemote reads the flights' keys from Redis. If err isn't nil it doesn't, and all replies fail with err.
func (t *job[T]) readRemote(due []*flight[T], err error) []remote.Result[T] {
	c := t.cache
	refs := make([]keyRef[T], len(due))
	how := remote.ReadOptions{Exact: t.readBefore, Started: make([]redisconn.Pending, len(due))}
	for i, f := range due {
		f.Wake = t.waits.Wake()
		heard := c.keys.Listen(f.Ref, f.Wake).Changes
		if heard != f.Changes {
			f.State.started = redisconn.Pending{} // it may be older than the change that was reported
		}
		how.Started[i], f.State.started = f.State.started, redisconn.Pending{}
		f.Changes = heard
		refs[i] = f.Ref
	}
	if err == nil {
		t.readBefore = t.readBefore || len(due) > 0
		return c.readUnlessQueued(t.timed, refs, how)
	}
	if redisconn.NotSent(err) {
		c.stats.spared.Add(uint64(len(refs)))
	}
	results := make([]remote.Result[T], len(refs))
	for i, a := range c.remote.Failed(len(refs), err) {
		results[i].Reply = a
	}
	return results
}

// finishUnverified finishes the flight with the local tier's value if Redis can't be read, and reports whether it did. A value that
// can't finish the flight becomes its fallback.
func (t *job[T]) finishUnverified(f *flight[T], err error) bool {
	c := t.cache
	if f.Reason == inflight.ForRefresh || !redisconn.Unanswered(err) {
		return false
	}
	if f.Reason == inflight.ForRead {
		if it := c.local.GetUnverified(f.Key, f.Hash, &c.view.Windows); it != nil {
			t.serve(f, &it.Record)
			return true
		}
	}
	if it := c.local.GetUnverifiedStale(f.Key, f.Hash); it != nil {
		f.State.fallback.make(it, fromUnverified)
	}
	return false
}

// loadTasks runs the loader, stores the results and finishes the flights. It reports whether the load ended within the job's
// time.
func (t *job[T]) loadTasks(tasks []*task[T]) bool {
	c := t.cache
	c.stats.misses.Add(uint64(len(tasks)))
	c.stats.loads.Add(1)
	t.loading = true
	var err error
	if !t.interruptible(func() { err = t.callLoader(tasks) }) {
		return false
	}
	if t.timed.Err() != nil { // interrupt would have dropped the results a moment earlier or later
		t.overdue()
		return false
	}
	if err = c.loadError(err); err != nil {
		t.finishTasks(tasks, err)
	}
	defer t.finishBehind(tasks)()
	c.store(context.WithoutCancel(t.timed), tasks, t.leases)
	t.finishTasks(tasks, nil)
	return true
}

// callLoader calls the loader, and the trace's LoadDone after it.
func (t *job[T]) callLoader(tasks []*task[T]) error {
	trace := t.cache.trace
	if trace == nil || trace.LoadDone == nil {
		return t.load(t.timed, tasks)
	}
	began, keys := time.Now(), keysOfTasks(tasks)
	err := t.load(t.timed, tasks)
	trace.LoadDone(t.timed, keys, time.Since(began), err)
	return err
}
