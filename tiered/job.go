package tiered

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// A job does what a lookup couldn't: whatever takes more than one read, or may take long. It runs on a goroutine of the cache, because
// the load goes on when the caller that began it has left.
//
// A job works in rounds. Each round reads both tiers (look) and sorts the flights: those with a value are finished at once; for
// those that must be loaded the job needs a permit, for which it may have to wait (permit.go); those for which it then gets a
// lease become tasks (lease.go, task.go); the others wait, because another process holds the lease. If there are tasks, the
// loader is called for all of them, and its results are stored (store.go). If there are none, the job sleeps until Redis
// reports a change of one of the keys, or the lease must have ended, and begins the next round. The flights that wait go to a
// job of their own when this one has something to load, since a load may take longer than what they wait for.
//
// After LoadTimeout the flights must have results even if the loader ignores its context, or Redis doesn't answer. The job's
// goroutine may then be anywhere, so another one finishes the flights (interrupt): finishing says which of the two may.

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
	due        []keyRef[T] // keys whose values were served and are due for a refresh
	wait       *tracedWait // for another process's load, if the job waits or has just waited for one
	permit     inflight.Permit
	inQueue    bool // the job waited for its permit when it last looked

	// finishing is set while one goroutine has the right to finish the flights: the job's own, or, if the job's time ends
	// while that goroutine is in the loader or waiting, the one that interrupts the job.
	finishing atomic.Bool
	finishes  bool // the job's goroutine has the right
}

// startJob starts a new job, with or without a lookup before it.
func (c *Cache[T]) startJob(j *job[T]) {
	j.cache = c
	j.finishes = j.beginFinishing()
	if !c.life.Begin() {
		j.fail(ErrClosed)
		c.permits.End(&j.permit)
		return
	}
	j.start()
}

// refreshInBackground starts a background load of those keys that have no flight yet, and doesn't wait for it. If there is no permit
// for it, no load is begun: the next hit tries again. So no caller can join a flight that is last in the queue. The keys must be the
// cache's own copies.
func (c *Cache[T]) refreshInBackground(ctx context.Context, keys []keyRef[T], load func(context.Context, []*task[T]) error) {
	permit, ok := c.permits.AcquireBackground()
	if !ok {
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
		c.permits.End(&permit)
		return
	}
	began := c.tags.Invalidations()
	for _, f := range own {
		f.State.began = began
	}
	c.stats.refreshes.Add(uint64(len(own)))
	c.startJob(&job[T]{caller: ctx, owner: fl.Owner, flights: own, load: load, permit: permit})
}

// start runs the job in a goroutine of its own. Its context is made here, because that would make the goroutine's stack grow. If
// the context ends while the job is in the loader or waiting, interrupt finishes the flights.
func (j *job[T]) start() {
	timed, done := inflight.NewContext(j.cache.base, j.caller, j.owner, j.cache.policy.LoadTimeout, j.interrupt)
	j.timed = timed
	go j.run(done)
}

// beginFinishing acquires the right to finish the flights, and reports whether it did.
func (j *job[T]) beginFinishing() bool { return j.finishing.CompareAndSwap(false, true) }

// run finishes every flight of the job, unless the job's time is over first. It calls done before it returns.
func (j *job[T]) run(done func()) {
	defer j.cache.permits.End(&j.permit) // a loader that doesn't return keeps the permit
	defer j.end(done)
	for len(j.flights) > 0 {
		if j.timed.Err() != nil {
			j.overdue()
			return
		}
		tasks, waiting := j.look()
		finishes := true
		switch {
		case len(tasks) > 0:
			j.split(waiting)
			finishes = j.loadTasks(tasks)
		case j.inQueue:
			finishes = j.awaitPermit()
		case j.waits.All(waiting):
			j.cache.permits.Release(&j.permit) // the load is another process's
			j.beginWait()
			finishes = j.interruptible(func() { j.waits.Wait(j.timed, (*flight[T]).Finished) })
		}
		if !finishes {
			return
		}
	}
}

// interrupt finishes the remaining flights when the job's context ends while the job is in the loader or waiting.
func (j *job[T]) interrupt() {
	if j.beginFinishing() {
		defer j.cache.life.End()
		j.overdue()
		j.leases.Release()
	}
}

// interruptible runs f, and lets interrupt finish the flights meanwhile. It reports whether this job must still finish them.
func (j *job[T]) interruptible(f func()) bool {
	j.finishes = false
	j.finishing.Store(false)
	if j.timed.Err() == nil { // if it has ended, interrupt may have run before the release
		f()
	}
	j.finishes = j.beginFinishing()
	return j.finishes
}

// beginWait reports to the trace that the job waits for another process's load, unless it did when it last waited.
func (j *job[T]) beginWait() {
	if j.wait == nil {
		j.wait = j.cache.beginWait(j.timed, true, func() []string { return keysOf(j.flights, func(f *flight[T]) string { return f.Key }) })
	}
}

// endWait reports that the job no longer waits for another process's load. It is called before the flights finish.
func (j *job[T]) endWait(err error) {
	j.cache.endWait(j.wait, err)
	j.wait = nil
}

// split hands the waiting flights to a job of their own, so that their callers don't wait for this job's load.
func (j *job[T]) split(waiting []*flight[T]) {
	if len(waiting) == 0 || !j.cache.life.Begin() {
		return
	}
	for _, f := range waiting {
		j.waits.Remove(f)
		j.cache.keys.StopListening(f)
	}
	j.flights = j.others(waiting)
	other := &job[T]{
		cache: j.cache, caller: j.caller, owner: j.owner, flights: waiting, load: j.load, readBefore: j.readBefore,
		permit: j.cache.permits.Split(&j.permit),
	}
	other.finishes = other.beginFinishing()
	other.start()
}

// end finishes the remaining flights after a panic or a Goexit in the loader or in the value's methods.
func (j *job[T]) end(done func()) {
	thrown := recover()
	late := !j.finishes && j.timed.Err() != nil // the loader's time was over before it panicked
	done()
	if !j.finishes && !j.beginFinishing() {
		return // its time was over first
	}
	defer j.cache.life.End()
	switch j.dropFinished(); {
	case len(j.flights) == 0:
	case late:
		j.overdue()
	default:
		j.cache.stats.loadErrors.Add(1)
		j.failPanicked(panicError(thrown))
	}
	j.leases.Release()
}

// look finishes the flights whose values the tiers have. It returns the tasks that this job must load, and the flights that wait
// for another load.
func (j *job[T]) look() (tasks []*task[T], waiting []*flight[T]) {
	c := j.cache
	began := mono.Now()
	j.inQueue = j.inQueue && c.permits.Acquire(&j.permit) == inflight.Waiting
	_, err := c.tags.Epoch(j.timed) // items of the local tier may depend on it
	j.readLocal()
	if c.remote != nil {
		return j.lookInRedis(began, err)
	}
	for _, f := range j.flights {
		tasks = append(tasks, j.newTask(f, &remote.Result[T]{}, began))
	}
	if !j.acquirePermit(tasks) {
		return nil, j.flights
	}
	return j.acquireLeases(tasks, nil, nil, nil), nil
}

// lookInRedis is look for a cache with Redis. It reads there for the job's flights, unless the epoch couldn't be read: then failure
// says why.
func (j *job[T]) lookInRedis(began mono.Instant, failure error) (tasks []*task[T], waiting []*flight[T]) {
	c := j.cache
	var free, occupied []*task[T]
	awaited := slices.DeleteFunc(slices.Clone(j.flights), func(f *flight[T]) bool { return !j.mustRead(f) })
	for i, fd := range j.readRemote(awaited, failure) {
		f := awaited[i]
		fd.DropExpiring()
		tk := j.newTask(f, &fd, began)
		switch use := fd.Use(&c.view.Windows); {
		case fd.Err != nil:
			if !j.finishUnverified(f, fd.Err) {
				tasks = append(tasks, tk) // without a lease
			}
		case f.Reason == inflight.ForRead && use >= record.WhileRevalidate, f.Reason == inflight.ForBackground && use == record.Good:
			c.stats.remoteHits.Add(1)
			c.fill(f.Ref, fd)
			j.serve(f, fd.Record)
		case fd.Lease != nil && j.leases.Owns(fd.Seen):
			tk.leased = primaryLease
			tasks = append(tasks, tk)
			j.leases.Add(f.Key)
		case f.Reason != inflight.ForRefresh && fd.Lease != nil && j.waits.Add(f, fd.Lease, fd.Reply):
		case fd.Leasable():
			free = append(free, tk)
		case f.Reason != inflight.ForRefresh && fd.Framed():
			if fd.Record != nil { // otherwise the key has only values of other releases
				f.State.fallback.make(c.fill(f.Ref, fd), fromRemote)
			}
			occupied = append(occupied, tk)
		default:
			tasks = append(tasks, tk) // the old value stays until a newer one is stored
		}
	}
	j.dropFinished()
	j.startRefreshes()
	if !j.acquirePermit(tasks, free, occupied) {
		return nil, j.flights
	}
	tasks = j.acquireLeases(tasks, free, occupied, failure)
	claimed := make([]*flight[T], len(tasks))
	for i, tk := range tasks {
		claimed[i] = tk.flight
	}
	return tasks, j.others(claimed)
}

// others returns the job's flights that aren't among these.
func (j *job[T]) others(these []*flight[T]) []*flight[T] {
	if len(these) == len(j.flights) {
		return nil
	}
	among := make(map[*flight[T]]bool, len(these))
	for _, f := range these {
		among[f] = true
	}
	return slices.DeleteFunc(slices.Clone(j.flights), func(f *flight[T]) bool { return among[f] })
}

// readLocal reads the local tier again, since another flight may have stored a value after the callers' reads. It finishes the
// flights that it can and sets the fallbacks of the others.
func (j *job[T]) readLocal() {
	for _, f := range j.flights {
		if r := j.cache.localRecord(f, mono.Now()); r != nil {
			j.serve(f, r)
		}
	}
	j.dropFinished()
	j.startRefreshes()
}

// serve finishes a flight with a record from one of the tiers.
func (j *job[T]) serve(f *flight[T], r *record.Record[T]) {
	c, at := j.cache, mono.Now()
	if r.Use(&c.view.Windows, at) < record.Good {
		j.due = append(j.due, keyRef[T]{Key: f.Key, Hash: f.Hash})
	}
	f.State.stale = r.Stale(at)
	j.endWait(nil)
	c.finishFlight(f, r, nil)
}

// startRefreshes starts a background load of the values that were served and are due for a refresh.
func (j *job[T]) startRefreshes() {
	if keys := j.due; len(keys) > 0 {
		j.due = nil
		j.cache.refreshInBackground(j.caller, keys, j.load)
	}
}

// readRemote reads the flights' keys from Redis. If err isn't nil it doesn't, and all replies fail with err.
func (j *job[T]) readRemote(due []*flight[T], err error) []remote.Result[T] {
	c := j.cache
	refs := make([]keyRef[T], len(due))
	how := remote.ReadOptions{Exact: j.readBefore, Started: make([]redisconn.Pending, len(due))}
	for i, f := range due {
		f.Wake = j.waits.Wake()
		heard := c.keys.Listen(f.Ref, f.Wake).Changes
		if heard != f.Changes {
			f.State.started = redisconn.Pending{} // it may be older than the change that was reported
		}
		how.Started[i], f.State.started = f.State.started, redisconn.Pending{}
		f.Changes = heard
		refs[i] = f.Ref
	}
	if err == nil {
		j.readBefore = j.readBefore || len(due) > 0
		return c.readUnlessQueued(j.timed, refs, how)
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

// loadTasks runs the loader, stores the results and finishes the flights. It reports whether the load ended within the job's
// time.
func (j *job[T]) loadTasks(tasks []*task[T]) bool {
	c := j.cache
	c.stats.misses.Add(uint64(len(tasks)))
	c.stats.loads.Add(1)
	j.loading = true
	began := c.recordMisses(tasks)
	defer c.dismissHeld(tasks)()
	ctx, err := j.timed, error(nil)
	if !j.interruptible(func() { ctx, err = j.callLoader(tasks) }) {
		return false
	}
	if j.timed.Err() != nil { // interrupt would have dropped the results a moment earlier or later
		j.overdue()
		return false
	}
	if err = c.loadError(err); err != nil {
		j.finishTasks(tasks, err)
	}
	c.recordLoads(tasks, began)
	defer j.finishBehind(tasks)()
	c.store(context.WithoutCancel(ctx), tasks, j.leases)
	j.finishTasks(tasks, nil)
	return true
}

// callLoader calls the loader, and the trace's functions before and after it. It returns the loader's context.
func (j *job[T]) callLoader(tasks []*task[T]) (context.Context, error) {
	defer j.cache.permits.Release(&j.permit)
	t := j.cache.trace
	if t == nil || t.LoadStart == nil && t.LoadDone == nil {
		return j.timed, j.load(j.timed, tasks)
	}
	why := tasks[0].flight.Reason
	l := LoadInfo{Keys: keysOf(tasks, (*task[T]).key), Refresh: why == inflight.ForRefresh, Background: why == inflight.ForBackground}
	return t.traceLoad(j.timed, l, func(ctx context.Context) error {
		if t.LoadStart != nil {
			for _, tk := range tasks {
				tk.flight.State.loadCtx.Store(&ctx)
			}
		}
		return j.load(ctx, tasks)
	})
}
