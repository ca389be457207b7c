package tiered

import (
	"context"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/tiers"
)

// A job does what a lookup couldn't: whatever takes more than one read, or may take long. It runs on a goroutine of the cache, because
// the load goes on when the caller that began it has left.
//
// A job works in rounds. Each round reads both tiers (look.go) and sorts the flights: those with a value are finished at once; for
// those that must be loaded the job needs a permit, for which it may have to wait (permit.go); those for which it then gets a
// lease become tasks (package tiers); the others wait, because another process holds the lease. If there are tasks, the
// loader is called for all of them, and its results are stored. If there are none, the job sleeps until Redis
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
	flights    []*flight[T]  // those that haven't finished
	only       [1]*flight[T] // the memory of flights, if there is one
	load       func(ctx context.Context, tasks []*task[T]) error
	timed      context.Context
	leases     tiers.Leases[T, flightState]
	loading    bool        // the loader was called
	exactReads bool        // a key seemed to be empty, and yet got no lease: it may have what only an Exact read shows
	due        []keyRef[T] // keys whose values were served and are due for a refresh
	wait       *tracedWait // for another process's load, if the job waits or has just waited for one
	permit     inflight.Permit
	inQueue    bool // the job waited for its permit when it last looked
	// leasesFirst is set until the job has read its one key: it has a permit, no lookup has read the key, and Redis is expected to
	// have nothing. So the read takes the lease.
	leasesFirst bool

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
		case j.leases.Waits.All(waiting):
			j.cache.permits.Release(&j.permit) // the load is another process's
			j.beginWait()
			finishes = j.interruptible(func() { j.leases.Waits.Wait(j.timed, (*flight[T]).Finished) })
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
		j.leases.Held.Release()
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
		j.wait = j.cache.beginWait(j.timed, true, func() []string { return tiers.KeysOf(j.flights, func(f *flight[T]) string { return f.Key }) })
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
		j.leases.Waits.Remove(f)
		j.cache.keys.StopListening(f)
	}
	j.flights = j.others(waiting)
	other := &job[T]{
		cache: j.cache, caller: j.caller, owner: j.owner, flights: waiting, load: j.load, exactReads: j.exactReads,
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
	j.leases.Held.Release()
}

// loadTasks runs the loader, stores the results and finishes the flights. It reports whether the load ended within the job's
// time.
func (j *job[T]) loadTasks(tasks []*task[T]) bool {
	c := j.cache
	c.stats.misses.Add(uint64(len(tasks)))
	c.stats.loads.Add(1)
	j.loading = true
	began := c.recordMisses(tasks)
	if timer := c.tiers.DismissHeld(tasks); timer != nil {
		defer timer.Stop()
	}
	ctx, err := j.timed, error(nil)
	if !j.interruptible(func() { ctx, err = j.callLoader(tasks) }) {
		return false
	}
	if j.timed.Err() != nil { // interrupt would have dropped the results a moment earlier or later
		j.overdue()
		return false
	}
	loaded := mono.Now()
	for _, tk := range tasks {
		c.currentFrom(loaded, tk.Flight)
	}
	if err = c.loadError(err); err != nil {
		j.finishTasks(tasks, err)
	}
	c.recordLoads(tasks, began)
	defer j.removeStored(j.finishBehind(tasks))
	c.tiers.Store(context.WithoutCancel(ctx), tasks, j.leases.Held)
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
	why := tasks[0].Flight.Reason
	l := LoadInfo{Keys: tiers.KeysOf(tasks, (*task[T]).Key), Refresh: why == inflight.ForRefresh, Background: why == inflight.ForBackground}
	return t.traceLoad(j.timed, l, func(ctx context.Context) error {
		if t.LoadStart != nil {
			for _, tk := range tasks {
				tk.Flight.State.loadCtx.Store(&ctx)
			}
		}
		return j.load(ctx, tasks)
	})
}
