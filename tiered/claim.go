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

// claim is a flight whose value the trip is to load.
type claim[T any] struct {
	flight  *flight[T]
	finding finding[T] // what there is instead
	tier    Tier
	began   mono.Instant
	stamp   coherence.Position
	leased  place
	lasts   mono.Instant // beside: the value that is there, in Redis

	// Set by the load:
	result *record.Record[T] // nil: it failed
	policy Policy            // of the result
	err    error             // for the callers, beside the result
	unfit  error             // of the result, which the callers get and which can't be stored
}

// place is where a claim's lease is.
type place uint8

const (
	nowhere place = iota
	inPlace       // of the value that isn't there
	beside        // beside a value that stays until there is a newer one
)

// runOut makes nothing of what another program wrote and Redis is about to let expire: it isn't to be kept, so there is no
// reason to load beside it without a lease. Until it is gone that isn't to be had.
func (f *finding[T]) runOut() {
	if f.Err == nil && f.record != nil && !f.framed() && f.record.Stale(mono.Now()) {
		f.record, f.seen, f.vacant = nil, redisconn.Expected{}, true
	}
}

// leasable answers whether a load's lease is to take the place of what was found.
func (f *finding[T]) leasable() bool {
	if f.lease != nil || f.seen.Exists && f.seen.Bytes == "" { // an older load's; what can't be told from nothing later
		return true
	}
	return f.record == nil && f.vacant
}

func (t *trip[T]) claim(f *flight[T], fd finding[T]) *claim[T] {
	cl := &claim[T]{flight: f, finding: fd, tier: Remote}
	if o := f.offer.last.Load(); fd.record == nil && o != nil && !o.Deleted() {
		cl.finding.record, cl.tier = &o.Record, Local
	} else if f.why == refreshed && fd.record == nil {
		if it := t.cache.local.GetUnverifiedStale(f.key, f.hash); it != nil {
			cl.finding.record, cl.tier = &it.Record, Local
		}
	}
	return cl
}

// take takes the leases that are to be had, and adds those claims to the others. The load's place among the invalidations is
// taken before any of it begins; err: it isn't to be had.
func (t *trip[T]) take(claims, vacant, standing []*claim[T], err error) []*claim[T] {
	c := t.cache
	if len(claims)+len(vacant)+len(standing) == 0 {
		return nil
	}
	var s coherence.Position
	if err == nil {
		s, err = c.tags.stamp(t.timed)
	}
	if err == nil {
		claims = append(claims, t.leaseBeside(standing)...)
	} else {
		s = c.tags.lastKnown()
		claims = append(append(claims, vacant...), standing...)
	}
	for _, cl := range claims {
		c.guards.load(cl.flight, false)
	}
	if err == nil {
		claims = append(claims, t.lease(vacant)...)
	}
	for _, cl := range claims {
		cl.stamp = s
		if err != nil { // else the tenure may be reading what was found
			cl.finding.Err = cmp.Or(cl.finding.Err, err) // nothing can be stored
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
	t.takeOffice()
	holds, was := make([]hold[T], len(vacant)), make([]redisconn.Expected, len(vacant))
	for i, cl := range vacant {
		holds[i], was[i] = cl.flight.hold, cl.finding.seen
		c.guards.load(cl.flight, true)
	}
	answers := c.remote.lease(t.timed, c.remote.redisKeys(holds), was, t.tenure.current())
	for i, a := range answers {
		cl := vacant[i]
		if a.Err == nil && !leased(a) {
			c.guards.unload(cl.flight)
			t.waits.remove(cl.flight) // to be looked at again at once
			continue
		}
		if cl.finding.Err = a.Err; a.Err == nil {
			cl.leased = inPlace
		}
		claims = append(claims, cl)
		t.tenure.add(holds[i], c.remote.key(holds[i])) // after an error too: Redis may have it
	}
	return claims
}

// leaseBeside returns the claims that got a lease beside the value that is there, or that no lease can be asked for. The others
// wait for who has it.
func (t *trip[T]) leaseBeside(standing []*claim[T]) (claims []*claim[T]) {
	if len(standing) == 0 {
		return nil
	}
	c := t.cache
	t.takeOffice()
	keys := make([]string, len(standing))
	for i, cl := range standing {
		keys[i] = c.remote.besideKey(cl.flight.hold)
	}
	var taken []*claim[T]
	for i, a := range c.remote.leaseBeside(t.timed, keys, t.tenure.current()) {
		cl := standing[i]
		theirs := finding[T]{lease: theirs(a), Reply: a}
		if l, ok := wire.ParseLease(theirs.lease); ok && !t.tenure.owns(seenLease(l)) && t.waits.add(cl.flight, theirs) {
			continue
		}
		t.tenure.add(cl.flight.hold, keys[i])
		if a.Err == nil {
			cl.leased = beside
			taken = append(taken, cl)
		} else {
			claims = append(claims, cl)
		}
	}
	return append(claims, t.stillStanding(taken)...)
}

// stillStanding returns the claims beside whose leases the value is that was seen, or was. Who had a lease before may have
// replaced the others and given it back since they were read: they are looked at again at once.
func (t *trip[T]) stillStanding(taken []*claim[T]) (claims []*claim[T]) {
	if len(taken) == 0 {
		return nil
	}
	replaced := t.tenure.uphold(t.timed, taken)
	keys := make([]string, len(replaced))
	for i, cl := range replaced {
		t.waits.remove(cl.flight)
		keys[i] = t.cache.remote.besideKey(cl.flight.hold)
	}
	t.tenure.giveBack(t.timed, keys)
	return slices.DeleteFunc(taken, func(cl *claim[T]) bool { return slices.Contains(replaced, cl) })
}

func (t *trip[T]) takeOffice() {
	if t.tenure == nil {
		t.tenure = newTenure(t.cache)
		t.tenure.lease = t.tenure.lease.ForBatch(len(t.flights) - redisconn.MaxChunk)
	}
}

// landBehind lands flights before what was loaded is stored, if the policy says so. They can be joined until they are stored,
// or that fails. A Refresh isn't over while its process may still have the value that it replaces.
func (t *trip[T]) landBehind(claims []*claim[T]) (stored func()) {
	var landed []*flight[T]
	for _, cl := range claims {
		if t.cache.policy.StoreBehind && cl.result != nil && cl.flight.why != refreshed {
			cl.flight.unfit = cl.unfit != nil
			cl.flight.land(cl.result, cl.err)
			landed = append(landed, cl.flight)
		}
	}
	return func() {
		for _, f := range landed {
			t.part(f, nil)
		}
	}
}
