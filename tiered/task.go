package tiered

import (
	"cmp"
	"slices"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// task is a flight whose value the job is to load.
type task[T any] struct {
	flight *flight[T]
	found  readResult[T] // what there is instead
	tier   Tier
	began  mono.Instant
	stamp  coherence.Position
	leased leaseKind
	lasts  mono.Instant // beside: the value that is there, in Redis

	// Set by the load:
	result *record.Record[T] // nil: it failed
	policy Policy            // of the result
	err    error             // for the callers, beside the result
	unfit  error             // of the result, which the callers get and which can't be stored
}

// leaseKind is where a task's lease is.
type leaseKind uint8

const (
	noLease      leaseKind = iota
	primaryLease           // of the value that isn't there
	refreshLease           // beside a value that stays until there is a newer one
)

// runOut makes nothing of what another program wrote and Redis is about to let expire: it isn't to be kept, so there is no
// reason to load beside it without a lease. Until it is gone that isn't to be had.
func (f *readResult[T]) runOut() {
	if f.Err == nil && f.record != nil && !f.framed() && f.record.Stale(mono.Now()) {
		f.record, f.seen, f.vacant = nil, redisconn.Expected{}, true
	}
}

// leasable reports whether a load's lease is to take the place of what was found.
func (f *readResult[T]) leasable() bool {
	if f.lease != nil || f.seen.Exists && f.seen.Bytes == "" { // an older load's; what can't be told from nothing later
		return true
	}
	return f.record == nil && f.vacant
}

func (t *job[T]) claim(f *flight[T], fd readResult[T]) *task[T] {
	cl := &task[T]{flight: f, found: fd, tier: Remote}
	if o := f.fallback.last.Load(); fd.record == nil && o != nil && !o.Deleted() {
		cl.found.record, cl.tier = &o.Record, Local
	} else if f.why == forRefresh && fd.record == nil {
		if it := t.cache.local.GetUnverifiedStale(f.key, f.hash); it != nil {
			cl.found.record, cl.tier = &it.Record, Local
		}
	}
	return cl
}

// take takes the leases that are to be had, and adds those tasks to the others. The load's place among the invalidations is
// taken before any of it begins; err: it isn't to be had.
func (t *job[T]) take(claims, vacant, standing []*task[T], err error) []*task[T] {
	c := t.cache
	if len(claims)+len(vacant)+len(standing) == 0 {
		return nil
	}
	var s coherence.Position
	if err == nil {
		s, err = c.tags.positionNow(t.timed)
	}
	if err == nil {
		claims = append(claims, t.leaseBeside(standing)...)
	} else {
		s = c.tags.lastKnown()
		claims = append(append(claims, vacant...), standing...)
	}
	for _, cl := range claims {
		c.keys.load(cl.flight, false)
	}
	if err == nil {
		claims = append(claims, t.lease(vacant)...)
	}
	for _, cl := range claims {
		cl.stamp = s
		if err != nil { // else the held leases may be reading what was found
			cl.found.Err = cmp.Or(cl.found.Err, err) // nothing can be stored
		}
	}
	return claims
}

// lease returns the tasks that got their lease, or that no lease can be asked for. The others have been taken by
// somebody else meanwhile.
func (t *job[T]) lease(vacant []*task[T]) (claims []*task[T]) {
	if len(vacant) == 0 {
		return nil
	}
	c := t.cache
	t.takeOffice()
	holds, was := make([]keyRef[T], len(vacant)), make([]redisconn.Expected, len(vacant))
	for i, cl := range vacant {
		holds[i], was[i] = cl.flight.keyRef, cl.found.seen
		c.keys.load(cl.flight, true)
	}
	answers := c.remote.lease(t.timed, c.remote.redisKeys(holds), was, t.leases.current())
	for i, a := range answers {
		cl := vacant[i]
		if a.Err == nil && !leased(a) {
			c.keys.unload(cl.flight)
			t.waits.remove(cl.flight) // to be looked at again at once
			continue
		}
		if cl.found.Err = a.Err; a.Err == nil {
			cl.leased = primaryLease
		}
		claims = append(claims, cl)
		t.leases.add(holds[i], c.remote.key(holds[i])) // after an error too: Redis may have it
	}
	return claims
}

// leaseBeside returns the tasks that got a lease beside the value that is there, or that no lease can be asked for. The others
// wait for who has it.
func (t *job[T]) leaseBeside(standing []*task[T]) (claims []*task[T]) {
	if len(standing) == 0 {
		return nil
	}
	c := t.cache
	t.takeOffice()
	keys := make([]string, len(standing))
	for i, cl := range standing {
		keys[i] = c.remote.besideKey(cl.flight.keyRef)
	}
	var taken []*task[T]
	for i, a := range c.remote.leaseBeside(t.timed, keys, t.leases.current()) {
		cl := standing[i]
		theirs := readResult[T]{lease: theirs(a), Reply: a}
		if l, ok := wire.ParseLease(theirs.lease); ok && !t.leases.owns(seenLease(l)) && t.waits.add(cl.flight, theirs) {
			continue
		}
		t.leases.add(cl.flight.keyRef, keys[i])
		if a.Err == nil {
			cl.leased = refreshLease
			taken = append(taken, cl)
		} else {
			claims = append(claims, cl)
		}
	}
	return append(claims, t.stillStanding(taken)...)
}

// stillStanding returns the tasks beside whose leases the value is that was seen, or was. Who had a lease before may have
// replaced the others and given it back since they were read: they are looked at again at once.
func (t *job[T]) stillStanding(taken []*task[T]) (claims []*task[T]) {
	if len(taken) == 0 {
		return nil
	}
	replaced := t.leases.moveLeases(t.timed, taken)
	keys := make([]string, len(replaced))
	for i, cl := range replaced {
		t.waits.remove(cl.flight)
		keys[i] = t.cache.remote.besideKey(cl.flight.keyRef)
	}
	t.leases.giveBack(t.timed, keys)
	return slices.DeleteFunc(taken, func(cl *task[T]) bool { return slices.Contains(replaced, cl) })
}

func (t *job[T]) takeOffice() {
	if t.leases == nil {
		t.leases = newHeldLeases(t.cache)
		t.leases.lease = t.leases.lease.ForBatch(len(t.flights) - redisconn.MaxChunk)
	}
}

// landBehind finishes flights before what was loaded is stored, if the policy says so. They can be joined until they are stored,
// or that fails. A Refresh isn't over while its process may still have the value that it replaces.
func (t *job[T]) landBehind(claims []*task[T]) (stored func()) {
	var landed []*flight[T]
	for _, cl := range claims {
		if t.cache.policy.StoreBehind && cl.result != nil && cl.flight.why != forRefresh {
			cl.flight.unfit = cl.unfit != nil
			cl.flight.finish(cl.result, cl.err)
			landed = append(landed, cl.flight)
		}
	}
	return func() {
		for _, f := range landed {
			t.part(f, nil)
		}
	}
}
