package tiered

import (
	"cmp"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// task is a flight whose value the job must load.
type task[T any] struct {
	flight *flight[T]
	found  remote.Result[T] // the read that made the load necessary
	tier   Tier
	began  mono.Instant
	stamp  coherence.Position
	leased leaseKind

	// Set by the load:
	result *record.Record[T] // nil: it failed
	policy Policy            // of the result
	err    error             // returned to the callers with the result
	unfit  error             // why the result can't be stored; the callers still get it
}

// leaseKind is where a task's lease is.
type leaseKind uint8

const (
	noLease      leaseKind = iota
	primaryLease           // under the key of the value, which has none
	refreshLease           // under a second key, while the old value stays until it is replaced
)

// claim returns a task for the flight. If the read found no record, the loader gets the one of the local tier.
func (t *job[T]) claim(f *flight[T], fd remote.Result[T]) *task[T] {
	cl := &task[T]{flight: f, found: fd, tier: Remote}
	if o := f.State.fallback.last.Load(); fd.Record == nil && o != nil && !o.Deleted() {
		cl.found.Record, cl.tier = &o.Record, Local
	} else if f.Reason == inflight.ForRefresh && fd.Record == nil {
		if it := t.cache.local.GetUnverifiedStale(f.Key, f.Hash); it != nil {
			cl.found.Record, cl.tier = &it.Record, Local
		}
	}
	return cl
}

// take acquires the free leases, and returns the tasks that this job must load. It reads the position among the invalidations
// first, so that a later invalidation applies to the loaded values. If err isn't nil the position is unknown, and no lease is taken.
func (t *job[T]) take(claims, vacant, standing []*task[T], err error) []*task[T] {
	c := t.cache
	if len(claims)+len(vacant)+len(standing) == 0 {
		return nil
	}
	var s coherence.Position
	if err == nil {
		s, err = c.tags.Position(t.timed)
	}
	if err == nil {
		claims = append(claims, t.leaseBeside(standing)...)
	} else {
		s = c.tags.LastKnown()
		claims = append(append(claims, vacant...), standing...)
	}
	for _, cl := range claims {
		c.keys.BeginLoad(cl.flight, false)
	}
	if err == nil {
		claims = append(claims, t.lease(vacant)...)
	}
	for _, cl := range claims {
		cl.stamp = s
		if err != nil { // if it is nil, extend may be reading found in its goroutine
			cl.found.Err = cmp.Or(cl.found.Err, err) // the result can't be stored
		}
	}
	return claims
}

// lease acquires leases for keys without a value. It returns the tasks that got one, and those whose request failed. Another
// process has written the keys of the others.
func (t *job[T]) lease(vacant []*task[T]) (claims []*task[T]) {
	if len(vacant) == 0 {
		return nil
	}
	c := t.cache
	t.holdLeases()
	keys, seen := make([]string, len(vacant)), make([]redisconn.Expected, len(vacant))
	for i, cl := range vacant {
		keys[i], seen[i] = cl.flight.Key, cl.found.Seen
		c.keys.BeginLoad(cl.flight, true)
	}
	answers := c.remote.Lease(t.timed, keys, seen, t.leases.Current())
	for i, a := range answers {
		cl := vacant[i]
		if a.Err == nil && !remote.Leased(a) {
			c.keys.AbortLoad(cl.flight)
			t.waits.remove(cl.flight) // read it again at once
			continue
		}
		if cl.found.Err = a.Err; a.Err == nil {
			cl.leased = primaryLease
		}
		claims = append(claims, cl)
		t.leases.Add(keys[i]) // after an error too: Redis may have it
	}
	return claims
}

// leaseBeside acquires leases for values that stay in Redis during the load. It returns the tasks that got one, and those whose
// request failed. The others wait for the holder of their lease.
//
// Redis keeps such a value for wire.MaxLease longer than it is of use. If the load takes longer than that, another process finds
// neither value nor lease under the key and loads too, and the result of this load isn't stored.
func (t *job[T]) leaseBeside(standing []*task[T]) (claims []*task[T]) {
	if len(standing) == 0 {
		return nil
	}
	c := t.cache
	t.holdLeases()
	keys := make([]string, len(standing))
	for i, cl := range standing {
		keys[i] = cl.flight.Key
	}
	var taken []*task[T]
	for i, a := range c.remote.LeaseForRefresh(t.timed, keys, t.leases.Current()) {
		cl := standing[i]
		theirs := remote.Result[T]{Lease: remote.Holder(a), Reply: a}
		if l, ok := wire.ParseLease(theirs.Lease); ok && !t.leases.Owns(remote.SeenLease(l)) && t.waits.add(cl.flight, theirs) {
			continue
		}
		t.leases.AddForRefresh(keys[i])
		if a.Err == nil {
			cl.leased = refreshLease
			taken = append(taken, cl)
		} else {
			claims = append(claims, cl)
		}
	}
	return append(claims, t.unreplaced(taken)...)
}

// unreplaced returns the tasks whose old value is still in Redis. The values of the others were replaced after they were read,
// perhaps by an earlier holder of the lease. Those leases are released, and the keys read again at once.
func (t *job[T]) unreplaced(taken []*task[T]) (claims []*task[T]) {
	if len(taken) == 0 {
		return nil
	}
	m := t.cache.remote
	keys, seen := make([]string, len(taken)), make([]redisconn.Expected, len(taken))
	for i, cl := range taken {
		keys[i], seen[i] = cl.flight.Key, cl.found.Seen
	}
	var free []string
	for i, same := range m.Unchanged(t.timed, keys, seen) {
		if same {
			claims = append(claims, taken[i])
			continue
		}
		t.waits.remove(taken[i].flight)
		free = append(free, keys[i])
	}
	t.leases.ReleaseForRefresh(t.timed, free)
	return claims
}

// holdLeases creates the job's held leases before the first lease is taken.
func (t *job[T]) holdLeases() {
	if c := t.cache; t.leases == nil {
		l := wire.NewLease(c.policy.LoadTimeout).ForBatch(len(t.flights) - redisconn.MaxChunk)
		t.leases = c.remote.NewHeldLeases(l, remote.Holding{Base: c.base, Life: &c.life, Released: c.released})
	}
}

// landBehind finishes flights before their values are stored, if the policy has StoreBehind. Callers can join these flights until
// stored is called, after the store has succeeded or failed. A Refresh isn't finished early: its process may still have the old value.
func (t *job[T]) landBehind(claims []*task[T]) (stored func()) {
	var landed []*flight[T]
	for _, cl := range claims {
		if t.cache.policy.StoreBehind && cl.result != nil && cl.flight.Reason != inflight.ForRefresh {
			cl.flight.State.unfit = cl.unfit != nil
			cl.flight.Finish(cl.result, cl.err)
			landed = append(landed, cl.flight)
		}
	}
	return func() {
		for _, f := range landed {
			t.part(f, nil)
		}
	}
}
