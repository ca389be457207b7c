package tiered

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// job takes flights from start to landing: that of one key, or those of a batch. It looks for their values in the
// tiers, loads those that are its own to load, and waits for those that another process loads.
type job[T any] struct {
	cache   *Cache[T]
	caller  context.Context
	owner   *owner
	flights []*flight[T] // that have not finished
	load    func(ctx context.Context, claims []*task[T]) error
	timed   context.Context
	leases  *heldLeases[T]
	waits   leaseWaiter[T]
	loading bool        // the loader was called
	looked  bool        // Redis was asked
	renews  []keyRef[T] // keys whose values were served, and are to be replaced
	slot    bool        // it has one of the cache's renewals

	// Who finishes the flights: the job's goroutine, unless its time is over while it is away.
	landing atomic.Bool
	holding bool // the job's goroutine does
}

// startJob begins a job for flights that have just begun, after a lookup or without one.
func (c *Cache[T]) startJob(caller context.Context, p *owner, flights []*flight[T], load func(context.Context, []*task[T]) error) {
	t := &job[T]{cache: c, caller: caller, owner: p, flights: flights, load: load}
	t.holding, t.slot = t.finishing(), flights[0].why == forBackground
	if !c.life.Begin() {
		t.fail(ErrClosed)
		t.vacate()
		return
	}
	go t.run()
}

// vacate gives the job's slot back.
func (t *job[T]) vacate() {
	if t.slot {
		<-t.cache.renewals
	}
}

// finishing answers true to the first who asks, until the flights are let go again.
func (t *job[T]) finishing() bool { return t.landing.CompareAndSwap(false, true) }

// run finishes every flight of the job, unless the job's time is over first.
func (t *job[T]) run() {
	defer t.vacate() // a loader that doesn't end keeps it
	defer t.end()
	defer t.begin()()
	for len(t.flights) > 0 {
		if t.timed.Err() != nil {
			t.overdue()
			return
		}
		claims, waiting := t.look()
		if len(claims) > 0 {
			t.leave(waiting)
			if !t.loadClaims(claims) {
				return
			}
		} else if t.waits.all(waiting) && !t.away(func() { t.waits.wait(t.timed) }) {
			return
		}
	}
}

// begin makes the job's context, which ends after LoadTimeout and with the cache. If that finds the job away, in the
// loader or waiting, it finishes the flights.
func (t *job[T]) begin() (done func()) {
	timed := t.cache.loads.begin(t.caller, t.owner, t.cache.policy.LoadTimeout, t.interrupt)
	t.timed = timed
	return timed.done
}

// interrupt finishes what is left when the job's context has ended, if the job is away.
func (t *job[T]) interrupt() {
	if t.finishing() {
		defer t.cache.life.End()
		t.overdue()
		t.leases.release()
	}
}

// away lets others finish the flights while f runs. It reports whether they are still to be finished here.
func (t *job[T]) away(f func()) bool {
	t.holding = false
	t.landing.Store(false)
	if t.timed.Err() == nil { // else its end may have found the flights held
		f()
	}
	t.holding = t.finishing()
	return t.holding
}

// leave has another job see to the flights that wait: who waits for those isn't to wait for this job's load.
func (t *job[T]) leave(waiting []*flight[T]) {
	if len(waiting) == 0 || !t.cache.life.Begin() {
		return
	}
	for _, f := range waiting {
		t.waits.remove(f)
		t.cache.keys.unlisten(f)
	}
	t.flights = t.others(waiting)
	other := &job[T]{cache: t.cache, caller: t.caller, owner: t.owner, flights: waiting, load: t.load, looked: t.looked}
	other.holding = other.finishing()
	go other.run()
}

// end finishes what is left after a panic or a Goexit, of the loader or of the value's own methods.
func (t *job[T]) end() {
	thrown := recover()
	if !t.holding && !t.finishing() {
		return // its time was over first
	}
	defer t.cache.life.End()
	if t.settle(); len(t.flights) > 0 {
		t.cache.stats.loadErrors.Add(1)
		t.crash(panicError(thrown))
	}
	t.leases.release()
}

// look finishes what the tiers have, and sorts the rest: what is to be loaded here, and what somebody else is loading.
func (t *job[T]) look() (claims []*task[T], waiting []*flight[T]) {
	c := t.cache
	began := mono.Now()
	_, err := c.tags.currentEpoch(t.timed) // what the local tier has may depend on it
	t.lookInside()
	if c.remote == nil {
		for _, f := range t.flights {
			cl := t.claim(f, readResult[T]{})
			cl.began = began
			claims = append(claims, cl)
		}
		return t.take(claims, nil, nil, nil), nil
	}
	var vacant, standing []*task[T]
	awaited := slices.DeleteFunc(slices.Clone(t.flights), func(f *flight[T]) bool { return !t.waits.due(f, c.keys) })
	for i, fd := range t.consult(awaited, err) {
		f := awaited[i]
		fd.runOut()
		cl := t.claim(f, fd)
		cl.began = began
		switch use := fd.use(&c.windows); {
		case fd.Err != nil:
			if !t.landFallback(f, fd.Err) {
				claims = append(claims, cl) // without a lease
			}
		case f.why == forRead && use >= record.WhileRevalidate, f.why == forBackground && use == record.Good:
			c.stats.remoteHits.Add(1)
			c.fill(f.keyRef, fd)
			t.serve(f, fd.record)
		case fd.lease != nil && t.leases.owns(fd.seen):
			cl.leased = primaryLease
			claims = append(claims, cl)
			t.leases.add(f.keyRef, c.remote.key(f.keyRef))
		case f.why != forRefresh && fd.lease != nil && t.waits.add(f, fd):
		case fd.leasable():
			vacant = append(vacant, cl)
		case f.why != forRefresh && fd.framed():
			f.fallback.make(c.fill(f.keyRef, fd), fromRemote)
			standing = append(standing, cl)
		default:
			claims = append(claims, cl) // what is there stays until there is a newer one
		}
	}
	t.settle()
	t.renew()
	claims = t.take(claims, vacant, standing, err)
	claimed := make([]*flight[T], len(claims))
	for i, cl := range claims {
		claimed[i] = cl.flight
	}
	return claims, t.others(claimed)
}

// others are the flights that aren't among these.
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

// lookInside finishes what the local tier has, for another flight may have ended since the callers looked, or fallbacks it.
func (t *job[T]) lookInside() {
	for _, f := range t.flights {
		if r := t.cache.inside(f, mono.Now()); r != nil {
			t.serve(f, r)
		}
	}
	t.settle()
	t.renew()
}

// serve finishes a flight with what was found.
func (t *job[T]) serve(f *flight[T], r *record.Record[T]) {
	c, at := t.cache, mono.Now()
	if r.Use(&c.windows, at) < record.Good {
		t.renews = append(t.renews, keyRef[T]{key: f.key, hash: f.hash})
	}
	f.stale = r.Stale(at)
	c.finishFlight(f, r, nil)
}

// renew has what was served, and is to be replaced, loaded in the background.
func (t *job[T]) renew() {
	if keys := t.renews; len(keys) > 0 {
		t.renews = nil
		t.cache.refreshBehind(t.caller, keys, t.load)
	}
}

// consult asks Redis, unless that is known to fail.
func (t *job[T]) consult(due []*flight[T], err error) []readResult[T] {
	c := t.cache
	holds := make([]keyRef[T], len(due))
	how := readOptions{exact: t.looked, given: make([]redisconn.Pending, len(due))}
	for i, f := range due {
		f.wake = t.waits.wake()
		heard := c.keys.listen(f.keyRef, f.wake).heard // the rest of it is read by those who wait
		if heard != f.heard {
			f.given = redisconn.Pending{} // it may be of before what was heard
		}
		how.given[i], f.given = f.given, redisconn.Pending{}
		f.heard = heard
		holds[i] = f.keyRef
	}
	if err == nil {
		t.looked = t.looked || len(due) > 0
		return c.consult(t.timed, holds, how)
	}
	if redisconn.NotSent(err) {
		c.stats.spared.Add(uint64(len(holds)))
	}
	findings := make([]readResult[T], len(holds))
	for i := range findings {
		findings[i].Reply = redisconn.Reply{Err: err, Feed: c.remote.redis.Nodes.Any(), Validity: coherence.Never}
	}
	return findings
}

// landFallback finishes what the local tier has if Redis can't be read, or fallbacks it.
func (t *job[T]) landFallback(f *flight[T], err error) bool {
	c := t.cache
	if f.why == forRefresh || !redisconn.Unreadable(err) {
		return false
	}
	if f.why == forRead {
		if it := c.local.GetUnverified(f.key, f.hash, &c.windows); it != nil {
			t.serve(f, &it.Record)
			return true
		}
	}
	if it := c.local.GetUnverifiedStale(f.key, f.hash); it != nil {
		f.fallback.make(it, fromUnverified)
	}
	return false
}

// loadClaims runs the loader, and stores and finishes what it brought. It answers false if the job's time was over first.
func (t *job[T]) loadClaims(claims []*task[T]) bool {
	c := t.cache
	c.stats.misses.Add(uint64(len(claims)))
	c.stats.loads.Add(1)
	t.loading = true
	var err error
	if !t.away(func() { err = t.traced(claims) }) {
		return false
	}
	t.leases.stopMoving()
	if err = c.loadError(t.timed, err); err != nil {
		t.landClaims(claims, err)
	}
	defer t.landBehind(claims)()
	c.store(context.WithoutCancel(t.timed), claims, t.leases)
	t.landClaims(claims, nil)
	return true
}

// traced calls the loader.
func (t *job[T]) traced(claims []*task[T]) error {
	trace := t.cache.trace
	if trace == nil || trace.LoadDone == nil {
		return t.load(t.timed, claims)
	}
	began, keys := time.Now(), make([]string, len(claims))
	for i, cl := range claims {
		keys[i] = cl.flight.key
	}
	err := t.load(t.timed, claims)
	trace.LoadDone(t.timed, keys, time.Since(began), err)
	return err
}

// landClaims finishes the flights of the tasks that failed with the error, or without one those of the others.
func (t *job[T]) landClaims(claims []*task[T], err error) {
	var landing []*task[T]
	for _, cl := range claims {
		if (cl.result == nil) == (err != nil) && !cl.flight.finished() {
			landing = append(landing, cl)
			cl.flight.unfit = cl.unfit != nil
			t.part(cl.flight, err) // before any caller hears of it: one that asks again begins anew
		}
	}
	for _, cl := range landing {
		if err != nil {
			cl.flight.finish(nil, err)
		} else {
			cl.flight.finish(cl.result, cl.err)
		}
	}
	t.settle()
}

// part takes a flight that finishes out, so that the next caller begins a new one. If it failed, and there is something to
// serve in its place, it stays for a while: a source that fails isn't asked again at once. Nor is one again in the background whose value can't be stored.
func (t *job[T]) part(f *flight[T], failure error) {
	c := t.cache
	if failure != nil && f.why == forBackground && !c.life.Over() {
		c.complain(&c.background, "tiered: a load in the background failed", f.key, failure)
	}
	failed := failure != nil || f.unfit && f.why == forBackground // of which nobody gets what it brought
	if !failed || f.why == forRefresh || c.life.Over() || c.fallbackOf(f, record.IfError) == nil {
		c.keys.leave(f)
		return
	}
	c.keys.linger(f)
	time.AfterFunc(c.policy.RetryAfter, func() { c.keys.leave(f) })
}

// fail finishes all flights that have not finished.
func (t *job[T]) fail(err error) {
	t.settle()
	for _, f := range t.flights {
		t.part(f, err)
	}
	for _, f := range t.flights {
		f.finish(nil, err)
	}
	t.settle()
}

// crash is fail for what made the job's goroutine end early. Nobody asked for a renewal: it only fails.
func (t *job[T]) crash(err error) {
	for _, f := range t.flights {
		if f.why == forBackground {
			t.part(f, err)
		} else {
			t.cache.keys.leave(f)
		}
	}
	for _, f := range t.flights {
		if f.why == forBackground {
			f.finish(nil, err)
		} else {
			f.finishPanicked(err)
		}
	}
	t.settle()
}

// overdue finishes what is left when the job's time is over.
func (t *job[T]) overdue() {
	if t.loading || t.cache.life.Over() {
		t.cache.stats.loadErrors.Add(1)
		t.fail(t.cache.overdue(t.timed))
		return
	}
	t.fail(fmt.Errorf("tiered: another process's load took longer than LoadTimeout (%v): %w", t.cache.policy.LoadTimeout, t.timed.Err()))
}

// settle forgets the flights that finished.
func (t *job[T]) settle() {
	t.flights = slices.DeleteFunc(t.flights, func(f *flight[T]) bool { return f.finished() })
}
