package tiered

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
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
	loading bool // the loader was called

	// Who lands the flights: the trip's goroutine, unless its time is over while it is away.
	landing atomic.Bool
	holding bool // the trip's goroutine does
}

// claim is a flight whose value the trip is to load.
type claim[T any] struct {
	flight  *flight[T]
	finding finding[T] // what there is instead
	tier    Tier
	began   instant
	stamp   stamp
	leased  bool

	// Set by the load:
	result *record[T] // nil: it failed
	policy Policy     // of the result
	err    error      // for the callers, beside the result
}

// takeOff begins a trip for flights that have just begun.
func (c *Cache[T]) takeOff(caller context.Context, p *pilot, flights []*flight[T], load func(context.Context, []*claim[T]) error) {
	for _, f := range flights {
		f.began = c.tags.own.Load()
	}
	t := &trip[T]{cache: c, caller: caller, pilot: p, flights: flights, load: load}
	t.holding = t.lands()
	if !c.life.begin() {
		t.fail(ErrClosed)
		return
	}
	go t.run()
}

// lands answers true to the first who asks, until the flights are let go again.
func (t *trip[T]) lands() bool { return t.landing.CompareAndSwap(false, true) }

// run lands every flight of the trip, unless the trip's time is over first.
func (t *trip[T]) run() {
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
	c := t.cache
	timed, cancel := context.WithTimeout(c.base, c.policy.LoadTimeout)
	t.timed = &loadContext{Context: timed, caller: t.caller, pilot: t.pilot}
	stop := context.AfterFunc(timed, func() {
		if t.lands() {
			defer c.life.end()
			t.overdue()
			t.tenure.release()
		}
	})
	return func() { stop(); cancel() }
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
	if len(waiting) == 0 || !t.cache.life.begin() {
		return
	}
	for _, f := range waiting {
		t.waits.remove(f)
		t.cache.guards.unlisten(f)
	}
	t.flights = t.others(waiting)
	other := &trip[T]{cache: t.cache, caller: t.caller, pilot: t.pilot, flights: waiting, load: t.load}
	other.holding = other.lands()
	go other.run()
}

// end lands what is left after a panic or a Goexit, of the loader or of the value's own methods.
func (t *trip[T]) end() {
	thrown := recover()
	if !t.holding && !t.lands() {
		return // its time was over first
	}
	defer t.cache.life.end()
	if t.settle(); len(t.flights) > 0 {
		t.cache.stats.loadErrors.Add(1)
		crash := newCrash(thrown)
		t.land(func(f *flight[T]) { f.crash(crash) })
	}
	t.tenure.release()
}

// look lands what the tiers have, and sorts the rest: what is to be loaded here, and what somebody else is loading.
func (t *trip[T]) look() (claims []*claim[T], waiting []*flight[T]) {
	c := t.cache
	began := now()
	_, err := c.tags.current(t.timed) // what the local tier has may depend on it
	t.lookInside()
	if c.remote == nil {
		for _, f := range t.flights {
			claims = append(claims, t.claim(f, finding[T]{}))
		}
		return t.take(claims, nil, nil), nil
	}
	var vacant []*claim[T]
	due := slices.DeleteFunc(slices.Clone(t.flights), func(f *flight[T]) bool { return !t.waits.due(f, c.guards) })
	for i, fd := range t.consult(due, err) {
		f := due[i]
		fd.runOut()
		cl := t.claim(f, fd)
		cl.began = began
		switch {
		case fd.err != nil:
			if !t.landFallback(f, fd.err) {
				claims = append(claims, cl) // without a lease
			}
		case !f.refresh && fd.fresh():
			c.stats.remoteHits.Add(1)
			c.fill(f.hold, fd)
			c.land(f, fd.record, nil)
		case fd.lease != nil && t.tenure.owns(fd.seen):
			cl.leased = true
			claims = append(claims, cl)
			t.tenure.add(f.hold)
		case !f.refresh && fd.lease != nil && t.waits.add(f, fd):
		case fd.leasable(f.refresh):
			vacant = append(vacant, cl)
		default:
			claims = append(claims, cl) // what is there stays until there is a newer one
		}
	}
	t.settle()
	claims = t.take(claims, vacant, err)
	claimed := make([]*flight[T], len(claims))
	for i, cl := range claims {
		claimed[i] = cl.flight
	}
	return claims, t.others(claimed)
}

// others are the flights that aren't among these.
func (t *trip[T]) others(these []*flight[T]) []*flight[T] {
	among := make(map[*flight[T]]bool, len(these))
	for _, f := range these {
		among[f] = true
	}
	return slices.DeleteFunc(slices.Clone(t.flights), func(f *flight[T]) bool { return among[f] })
}

// lookInside lands what the local tier has: another flight may have ended since the callers looked.
func (t *trip[T]) lookInside() {
	at := now()
	for _, f := range t.flights {
		if f.refresh {
			continue
		}
		if it := t.cache.local.get(f.key, f.hash, at); it != nil {
			t.cache.land(f, &it.record, nil)
		}
	}
	t.settle()
}

// consult asks Redis, unless that is known to fail.
func (t *trip[T]) consult(due []*flight[T], err error) []finding[T] {
	c := t.cache
	holds := make([]hold[T], len(due))
	for i, f := range due {
		f.wake = t.waits.wake()
		f.hold = c.guards.listen(f.hold, f.wake)
		holds[i] = f.hold
	}
	if err == nil {
		return c.consult(t.timed, holds)
	}
	findings := make([]finding[T], len(holds))
	for i := range findings {
		findings[i].answer = answer{err: err, stream: c.remote.redis.anyStream(), proof: unproven}
	}
	return findings
}

// landFallback lands what the local tier has if Redis doesn't answer.
func (t *trip[T]) landFallback(f *flight[T], err error) bool {
	if f.refresh || !unanswered(err) {
		return false
	}
	it := t.cache.local.fallback(f.key, f.hash)
	if it == nil {
		return false
	}
	t.cache.land(f, &it.record, nil)
	return true
}

// runOut makes nothing of what another program wrote and Redis is about to let expire: it isn't to be kept, so there is no
// reason to load beside it without a lease. Until it is gone that isn't to be had.
func (f *finding[T]) runOut() {
	if f.err == nil && f.record != nil && !f.framed() && !f.fresh() {
		f.record, f.seen, f.vacant = nil, seen{}, true
	}
}

// leasable answers whether a load is to take the place of what was found before it begins. What another program wrote
// stays where it is; so does what is there while it is refreshed.
func (f *finding[T]) leasable(refresh bool) bool {
	switch {
	case f.lease != nil, f.seen.there && f.seen.bytes == "": // an older load's; what can't be told from nothing later
		return true
	case f.record == nil:
		return f.vacant
	}
	return f.framed() && !refresh
}

func (t *trip[T]) claim(f *flight[T], fd finding[T]) *claim[T] {
	cl := &claim[T]{flight: f, finding: fd, tier: Remote}
	if f.refresh && fd.record == nil {
		if it := t.cache.local.fallback(f.key, f.hash); it != nil {
			cl.finding.record, cl.tier = &it.record, Local
		}
	}
	return cl
}

// take takes the leases that are to be had for what is vacant, and adds those claims to the others. The load's place
// among the invalidations is taken before any of it begins; err: it isn't to be had.
func (t *trip[T]) take(claims, vacant []*claim[T], err error) []*claim[T] {
	c := t.cache
	if len(claims)+len(vacant) == 0 {
		return nil
	}
	var s stamp
	if err == nil {
		s, err = c.tags.stamp(t.timed)
	}
	if err == nil {
		claims = append(claims, t.lease(vacant)...)
	} else {
		s = c.tags.lastKnown()
		claims = append(claims, vacant...)
	}
	for _, cl := range claims {
		cl.stamp = s
		cl.finding.err = cmp.Or(cl.finding.err, err) // nothing can be stored
		if !cl.leased {
			c.guards.load(cl.flight, false)
		}
	}
	return claims
}

// lease returns the claims that got their lease, or that no lease can be asked for. The others have been taken by
// somebody else meanwhile.
func (t *trip[T]) lease(vacant []*claim[T]) (claims []*claim[T]) {
	if len(vacant) == 0 {
		return nil
	}
	c := t.cache
	if t.tenure == nil {
		t.tenure = newTenure(c)
	}
	holds, was := make([]hold[T], len(vacant)), make([]seen, len(vacant))
	for i, cl := range vacant {
		holds[i], was[i] = cl.flight.hold, cl.finding.seen
		c.guards.load(cl.flight, true)
	}
	answers := c.remote.lease(t.timed, holds, was, t.tenure.current())
	for i, a := range answers {
		cl := vacant[i]
		if a.err == nil && !a.leased() {
			c.guards.unload(cl.flight)
			t.waits.remove(cl.flight) // to be looked at again at once
			continue
		}
		cl.leased, cl.finding.err = a.err == nil, a.err
		claims = append(claims, cl)
		t.tenure.add(holds[i]) // after an error too: Redis may have it
	}
	return claims
}

// loadClaims runs the loader, and stores and lands what it brought. It answers false if the trip's time was over first.
func (t *trip[T]) loadClaims(claims []*claim[T]) bool {
	c := t.cache
	c.stats.misses.Add(uint64(len(claims)))
	c.stats.loads.Add(1)
	t.loading = true
	var err error
	if !t.away(func() { err = t.load(t.timed, claims) }) {
		return false
	}
	if err = c.loadError(t.timed, err); err != nil {
		t.landClaims(claims, err)
	}
	c.store(context.WithoutCancel(t.timed), claims, t.tenure)
	t.landClaims(claims, nil)
	return true
}

// landClaims lands the flights of the claims that failed with the error, or without one those of the others.
func (t *trip[T]) landClaims(claims []*claim[T], err error) {
	var landing []*claim[T]
	for _, cl := range claims {
		if (cl.result == nil) == (err != nil) {
			landing = append(landing, cl)
			t.cache.guards.leave(cl.flight) // before any caller hears of it: one that asks again begins anew
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

// land lands all flights that have not landed.
func (t *trip[T]) land(end func(*flight[T])) {
	t.settle()
	for _, f := range t.flights {
		t.cache.guards.leave(f)
	}
	for _, f := range t.flights {
		end(f)
	}
	t.settle()
}

func (t *trip[T]) fail(err error) {
	t.land(func(f *flight[T]) { f.land(nil, err) })
}

// overdue lands what is left when the trip's time is over.
func (t *trip[T]) overdue() {
	if t.loading || t.cache.life.isOver() {
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
