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

// Before a job loads, it asks Redis for leases, so that other processes wait for the result. There are two kinds. A primary lease is
// put under the key itself, if that holds nothing worth keeping: another process that reads the key finds the lease, and a write
// of the key by anyone ends it. A secondary lease is put under a key beside it, while the old value stays readable; a load that
// replaces a value then checks that the value is still the one that it read. A lease that can't be had doesn't stop a load when
// Redis doesn't answer: each process then loads for itself.

// newTask returns a task for the flight, whose job began to look then. If the read found no record, the loader gets the one of the local tier.
func (j *job[T]) newTask(f *flight[T], fd *remote.Result[T], began mono.Instant) *task[T] {
	tk := &task[T]{flight: f, found: *fd, tier: Remote, began: began}
	if o := f.State.fallback.last.Load(); fd.Record == nil && o != nil && !o.Deleted() {
		tk.found.Record, tk.tier = &o.Record, Local
	} else if f.Reason == inflight.ForRefresh && fd.Record == nil {
		if it := j.cache.local.GetUnverifiedStale(f.Key, f.Hash); it != nil {
			tk.found.Record, tk.tier = &it.Record, Local
		}
	}
	return tk
}

// acquireLeases acquires the free leases, and returns the tasks that this job must load. It reads the position among the invalidations
// first, so that a later invalidation applies to the loaded values. If err isn't nil the position is unknown, and no lease is taken.
func (j *job[T]) acquireLeases(tasks, free, occupied []*task[T], err error) []*task[T] {
	c := j.cache
	if len(tasks)+len(free)+len(occupied) == 0 {
		return nil
	}
	var s coherence.Position
	var soonGone []*task[T]
	if err == nil {
		s, err = c.tags.Position(j.timed)
	}
	if err == nil {
		var acquired []*task[T]
		acquired, soonGone = j.acquireSecondary(occupied)
		tasks = append(tasks, acquired...)
	} else {
		s = c.tags.LastKnown()
		tasks = append(append(tasks, free...), occupied...)
	}
	for _, tk := range tasks {
		c.keys.BeginLoad(tk.flight, false)
	}
	if err == nil {
		tasks = append(tasks, j.acquirePrimary(append(free, soonGone...))...)
		j.leases.ReleaseSecondary(j.timed, keysOf(soonGone, (*task[T]).key))
	}
	for _, tk := range tasks {
		tk.stamp = s
		if err != nil { // if it is nil, extend may be reading found in its goroutine
			tk.found.Err = cmp.Or(tk.found.Err, err) // the result can't be stored
		}
	}
	return tasks
}

// acquirePrimary acquires leases for keys without a value, or with one that they replace. It returns the tasks that got one, and
// those whose request failed. Another process has written the keys of the others.
func (j *job[T]) acquirePrimary(free []*task[T]) (tasks []*task[T]) {
	if len(free) == 0 {
		return nil
	}
	c := j.cache
	j.holdLeases()
	keys, seen := keysOf(free, (*task[T]).key), make([]redisconn.Expected, len(free))
	for i, tk := range free {
		seen[i] = tk.found.Seen
		c.keys.BeginLoad(tk.flight, true)
	}
	answers := c.remote.Lease(j.timed, keys, seen, j.leases.Current())
	for i, a := range answers {
		tk := free[i]
		if a.Err == nil && !remote.Leased(a) {
			c.keys.AbortLoad(tk.flight)
			j.waits.Remove(tk.flight) // read it again at once
			continue
		}
		if tk.found.Err = a.Err; a.Err == nil {
			tk.leased = primaryLease
		}
		tasks = append(tasks, tk)
		j.leases.Add(keys[i]) // after an error too: Redis may have it
	}
	return tasks
}

// acquireSecondary acquires leases for values that stay in Redis during the load. It returns the tasks that got one, and those whose
// request failed. The others wait for the holder of their lease. soonGone are tasks that got one, whose value nobody is served and
// Redis drops in less than wire.MaxLease: a primary lease must replace it, so that other processes don't find neither.
//
// Redis keeps the other values for wire.MaxLease at least, those of other releases for as long as they are of use. If the load takes
// longer than that, another process finds neither value nor lease under the key and loads too, and this load's result isn't stored.
func (j *job[T]) acquireSecondary(occupied []*task[T]) (tasks, soonGone []*task[T]) {
	if len(occupied) == 0 {
		return nil, nil
	}
	c := j.cache
	j.holdLeases()
	keys := keysOf(occupied, (*task[T]).key)
	var taken []*task[T]
	for i, a := range c.remote.LeaseSecondary(j.timed, keys, j.leases.Current()) {
		tk := occupied[i]
		theirs := remote.Holder(a)
		if l, ok := wire.ParseLease(theirs); ok && !j.leases.Owns(remote.SeenLease(l)) && j.waits.Add(tk.flight, theirs, a) {
			continue
		}
		j.leases.AddSecondary(keys[i])
		switch {
		case a.Err != nil:
			tasks = append(tasks, tk)
		case c.soonGone(&tk.found):
			soonGone = append(soonGone, tk)
		default:
			tk.leased = secondaryLease
			taken = append(taken, tk)
		}
	}
	return append(tasks, j.unreplaced(taken)...), soonGone
}

// soonGone reports whether nobody is served what the key holds, and Redis may drop it during a load.
func (c *Cache[T]) soonGone(found *remote.Result[T]) bool {
	r := found.Record
	return found.Use(&c.view.Windows) == record.Unusable && r != nil && found.Others == nil && r.Created.Add(r.RedisTTL(c.retention)) <= mono.Now().Add(wire.MaxLease)
}

// unreplaced returns the tasks whose old value is still in Redis. The values of the others were replaced after they were read,
// perhaps by an earlier holder of the lease. Those leases are released, and the keys read again at once.
func (j *job[T]) unreplaced(taken []*task[T]) (tasks []*task[T]) {
	if len(taken) == 0 {
		return nil
	}
	m := j.cache.remote
	keys, seen := keysOf(taken, (*task[T]).key), make([]redisconn.Expected, len(taken))
	for i, tk := range taken {
		seen[i] = tk.found.Seen
	}
	var free []string
	for i, same := range m.Unchanged(j.timed, keys, seen) {
		if same {
			tasks = append(tasks, taken[i])
			continue
		}
		j.waits.Remove(taken[i].flight)
		free = append(free, keys[i])
	}
	j.leases.ReleaseSecondary(j.timed, free)
	return tasks
}

// holdLeases creates the job's held leases before the first lease is taken.
func (j *job[T]) holdLeases() {
	if c := j.cache; j.leases == nil {
		l := wire.NewLease(c.policy.LoadTimeout).ForBatch(len(j.flights) - redisconn.MaxChunk)
		j.leases = c.remote.NewHeldLeases(l, remote.Holding{Base: c.base, Life: &c.life, Released: c.released})
	}
}
