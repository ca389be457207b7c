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

// trip takes flights from take-off to landing: that of one key, or those of a batch. It looks for their values in the
// tiers, loads those that are its own to load, and waits for those that another process loads.
type trip[T any] struct {
	cache   *Cache[T]
	caller  context.Context
	pilot   *pilot
	flights []*flight[T] // that have not landed
	load    func(ctx context.Context, claims []*claim[T]) error
	timed   context.Context
	tenure  *tenure[T]
	waits   waitlist[T]
	loading bool      // the loader was called
	looked  bool      // Redis was asked
	renews  []hold[T] // keys whose values were served, and are to be replaced
	slot    bool      // it has one of the cache's renewals

	// Who lands the flights: the trip's goroutine, unless its time is over while it is away.
	landing atomic.Bool
	holding bool // the trip's goroutine does
}

// takeOff begins a trip for flights that have just begun, after a glance or without one.
func (c *Cache[T]) takeOff(caller context.Context, p *pilot, flights []*flight[T], load func(context.Context, []*claim[T]) error) {
	t := &trip[T]{cache: c, caller: caller, pilot: p, flights: flights, load: load}
	t.holding, t.slot = t.lands(), flights[0].why == renewal
	if !c.life.Begin() {
		t.fail(ErrClosed)
		t.vacate()
		return
	}
	go t.run()
}

// vacate gives the trip's slot back.
func (t *trip[T]) vacate() {
	if t.slot {
		<-t.cache.renewals
	}
}

// lands answers true to the first who asks, until the flights are let go again.
func (t *trip[T]) lands() bool { return t.landing.CompareAndSwap(false, true) }

// run lands every flight of the trip, unless the trip's time is over first.
func (t *trip[T]) run() {
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

// begin makes the trip's context, which ends after LoadTimeout and with the cache. If that finds the trip away, in the
// loader or waiting, it lands the flights.
func (t *trip[T]) begin() (done func()) {
	timed := t.cache.loads.begin(t.caller, t.pilot, t.cache.policy.LoadTimeout, t.interrupt)
	t.timed = timed
	return timed.done
}

// interrupt lands what is left when the trip's context has ended, if the trip is away.
func (t *trip[T]) interrupt() {
	if t.lands() {
		defer t.cache.life.End()
		t.overdue()
		t.tenure.release()
	}
}

// away lets others land the flights while f runs. It answers whether they are still to be landed here.
func (t *trip[T]) away(f func()) bool {
	t.holding = false
	t.landing.Store(false)
	if t.timed.Err() == nil { // else its end may have found the flights held
		f()
	}
	t.holding = t.lands()
	return t.holding
}

// leave has another trip see to the flights that wait: who waits for those isn't to wait for this trip's load.
func (t *trip[T]) leave(waiting []*flight[T]) {
	if len(waiting) == 0 || !t.cache.life.Begin() {
		return
	}
	for _, f := range waiting {
		t.waits.remove(f)
		t.cache.guards.unlisten(f)
	}
	t.flights = t.others(waiting)
	other := &trip[T]{cache: t.cache, caller: t.caller, pilot: t.pilot, flights: waiting, load: t.load, looked: t.looked}
	other.holding = other.lands()
	go other.run()
}

// end lands what is left after a panic or a Goexit, of the loader or of the value's own methods.
func (t *trip[T]) end() {
	thrown := recover()
	if !t.holding && !t.lands() {
		return // its time was over first
	}
	defer t.cache.life.End()
	if t.settle(); len(t.flights) > 0 {
		t.cache.stats.loadErrors.Add(1)
		t.crash(newCrash(thrown))
	}
	t.tenure.release()
}

// look lands what the tiers have, and sorts the rest: what is to be loaded here, and what somebody else is loading.
func (t *trip[T]) look() (claims []*claim[T], waiting []*flight[T]) {
	c := t.cache
	began := mono.Now()
	_, err := c.tags.current(t.timed) // what the local tier has may depend on it
	t.lookInside()
	if c.remote == nil {
		for _, f := range t.flights {
			cl := t.claim(f, finding[T]{})
			cl.began = began
			claims = append(claims, cl)
		}
		return t.take(claims, nil, nil, nil), nil
	}
	var vacant, standing []*claim[T]
	awaited := slices.DeleteFunc(slices.Clone(t.flights), func(f *flight[T]) bool { return !t.waits.due(f, c.guards) })
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
		case f.why == asked && use >= record.WhileRevalidate, f.why == renewal && use == record.Good:
			c.stats.remoteHits.Add(1)
			c.fill(f.hold, fd)
			t.serve(f, fd.record)
		case fd.lease != nil && t.tenure.owns(fd.seen):
			cl.leased = inPlace
			claims = append(claims, cl)
			t.tenure.add(f.hold, c.remote.key(f.hold))
		case f.why != refreshed && fd.lease != nil && t.waits.add(f, fd):
		case fd.leasable():
			vacant = append(vacant, cl)
		case f.why != refreshed && fd.framed():
			f.offer.make(c.fill(f.hold, fd), fromRedis)
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
func (t *trip[T]) others(these []*flight[T]) []*flight[T] {
	if len(these) == len(t.flights) {
		return nil
	}
	among := make(map[*flight[T]]bool, len(these))
	for _, f := range these {
		among[f] = true
	}
	return slices.DeleteFunc(slices.Clone(t.flights), func(f *flight[T]) bool { return among[f] })
}

// lookInside lands what the local tier has, for another flight may have ended since the callers looked, or offers it.
func (t *trip[T]) lookInside() {
	for _, f := range t.flights {
		if r := t.cache.inside(f, mono.Now()); r != nil {
			t.serve(f, r)
		}
	}
	t.settle()
	t.renew()
}

// serve lands a flight with what was found.
func (t *trip[T]) serve(f *flight[T], r *record.Record[T]) {
	c, at := t.cache, mono.Now()
	if r.Use(&c.windows, at) < record.Good {
		t.renews = append(t.renews, hold[T]{key: f.key, hash: f.hash})
	}
	f.stale = r.Stale(at)
	c.land(f, r, nil)
}

// renew has what was served, and is to be replaced, loaded in the background.
func (t *trip[T]) renew() {
	if keys := t.renews; len(keys) > 0 {
		t.renews = nil
		t.cache.renew(t.caller, keys, t.load)
	}
}

// consult asks Redis, unless that is known to fail.
func (t *trip[T]) consult(due []*flight[T], err error) []finding[T] {
	c := t.cache
	holds := make([]hold[T], len(due))
	how := manner{exact: t.looked, given: make([]redisconn.Pending, len(due))}
	for i, f := range due {
		f.wake = t.waits.wake()
		heard := c.guards.listen(f.hold, f.wake).heard // the rest of it is read by those who wait
		if heard != f.heard {
			f.given = redisconn.Pending{} // it may be of before what was heard
		}
		how.given[i], f.given = f.given, redisconn.Pending{}
		f.heard = heard
		holds[i] = f.hold
	}
	if err == nil {
		t.looked = t.looked || len(due) > 0
		return c.consult(t.timed, holds, how)
	}
	if redisconn.NotSent(err) {
		c.stats.spared.Add(uint64(len(holds)))
	}
	findings := make([]finding[T], len(holds))
	for i := range findings {
		findings[i].Reply = redisconn.Reply{Err: err, Feed: c.remote.redis.Nodes.Any(), Validity: coherence.Never}
	}
	return findings
}

// landFallback lands what the local tier has if Redis can't be read, or offers it.
func (t *trip[T]) landFallback(f *flight[T], err error) bool {
	c := t.cache
	if f.why == refreshed || !redisconn.Unreadable(err) {
		return false
	}
	if f.why == asked {
		if it := c.local.GetUnverified(f.key, f.hash, &c.windows); it != nil {
			t.serve(f, &it.Record)
			return true
		}
	}
	if it := c.local.GetUnverifiedStale(f.key, f.hash); it != nil {
		f.offer.make(it, forWantOfRedis)
	}
	return false
}

// loadClaims runs the loader, and stores and lands what it brought. It answers false if the trip's time was over first.
func (t *trip[T]) loadClaims(claims []*claim[T]) bool {
	c := t.cache
	c.stats.misses.Add(uint64(len(claims)))
	c.stats.loads.Add(1)
	t.loading = true
	var err error
	if !t.away(func() { err = t.traced(claims) }) {
		return false
	}
	t.tenure.settle()
	if err = c.loadError(t.timed, err); err != nil {
		t.landClaims(claims, err)
	}
	defer t.landBehind(claims)()
	c.store(context.WithoutCancel(t.timed), claims, t.tenure)
	t.landClaims(claims, nil)
	return true
}

// traced calls the loader.
func (t *trip[T]) traced(claims []*claim[T]) error {
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

// landClaims lands the flights of the claims that failed with the error, or without one those of the others.
func (t *trip[T]) landClaims(claims []*claim[T], err error) {
	var landing []*claim[T]
	for _, cl := range claims {
		if (cl.result == nil) == (err != nil) && !cl.flight.landed() {
			landing = append(landing, cl)
			cl.flight.unfit = cl.unfit != nil
			t.part(cl.flight, err) // before any caller hears of it: one that asks again begins anew
		}
	}
	for _, cl := range landing {
		if err != nil {
			cl.flight.land(nil, err)
		} else {
			cl.flight.land(cl.result, cl.err)
		}
	}
	t.settle()
}

// part takes a flight that lands out, so that the next caller begins a new one. If it failed, and there is something to
// serve in its place, it stays for a while: a source that fails isn't asked again at once. Nor is one again in the background whose value can't be stored.
func (t *trip[T]) part(f *flight[T], failure error) {
	c := t.cache
	if failure != nil && f.why == renewal && !c.life.Over() {
		c.complain(&c.complaints, "tiered: a load in the background failed", f.key, failure)
	}
	failed := failure != nil || f.unfit && f.why == renewal // of which nobody gets what it brought
	if !failed || f.why == refreshed || c.life.Over() || c.offered(f, record.IfError) == nil {
		c.guards.leave(f)
		return
	}
	c.guards.linger(f)
	time.AfterFunc(c.policy.RetryAfter, func() { c.guards.leave(f) })
}

// fail lands all flights that have not landed.
func (t *trip[T]) fail(err error) {
	t.settle()
	for _, f := range t.flights {
		t.part(f, err)
	}
	for _, f := range t.flights {
		f.land(nil, err)
	}
	t.settle()
}

// crash is fail for what made the trip's goroutine end early. Nobody asked for a renewal: it only fails.
func (t *trip[T]) crash(err error) {
	for _, f := range t.flights {
		if f.why == renewal {
			t.part(f, err)
		} else {
			t.cache.guards.leave(f)
		}
	}
	for _, f := range t.flights {
		if f.why == renewal {
			f.land(nil, err)
		} else {
			f.crash(err)
		}
	}
	t.settle()
}

// overdue lands what is left when the trip's time is over.
func (t *trip[T]) overdue() {
	if t.loading || t.cache.life.Over() {
		t.cache.stats.loadErrors.Add(1)
		t.fail(t.cache.overdue(t.timed))
		return
	}
	t.fail(fmt.Errorf("tiered: another process's load took longer than LoadTimeout (%v): %w", t.cache.policy.LoadTimeout, t.timed.Err()))
}

// settle forgets the flights that landed.
func (t *trip[T]) settle() {
	t.flights = slices.DeleteFunc(t.flights, func(f *flight[T]) bool { return f.landed() })
}
