package tiered

import (
	"slices"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// How a round of a job begins: it reads both tiers, finishes the flights that it can, and claims what it must load.

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
	var cl claims[T]
	for _, f := range j.flights {
		cl.Ready = append(cl.Ready, j.newTask(f, &remote.Result[T]{}, began))
	}
	return j.claim(cl)
}

// lookInRedis is look for a cache with Redis. It reads there for the job's flights, unless the epoch couldn't be read: then failure
// says why.
func (j *job[T]) lookInRedis(began mono.Instant, failure error) (tasks []*task[T], waiting []*flight[T]) {
	c := j.cache
	cl := claims[T]{Err: failure}
	awaited, waits := j.flights, func(f *flight[T]) bool { return !j.mustRead(f) }
	if slices.ContainsFunc(awaited, waits) {
		awaited = slices.DeleteFunc(slices.Clone(awaited), waits)
	}
	for i, fd := range j.readRemote(awaited, failure) {
		f := awaited[i]
		fd.DropExpiring()
		tk := j.newTask(f, &fd, began)
		switch use := fd.Use(&c.view.Windows); {
		case fd.Err != nil:
			if !j.finishUnverified(f, fd.Err) {
				cl.Ready = append(cl.Ready, tk) // without a lease
			}
		case f.Reason == inflight.ForRead && use >= record.WhileRevalidate, f.Reason == inflight.ForBackground && use == record.Good:
			c.stats.remoteHits.Add(1)
			c.tiers.Fill(f.Ref, &fd, &c.view)
			c.currentFrom(f.State.asked, f)
			j.serve(f, fd.Record)
		case j.leases.Held.Owns(fd.Seen):
			cl.AddLeased(tk, &j.leases)
		case f.Reason != inflight.ForRefresh && fd.Lease != nil && c.tiers.AwaitLease(&j.leases, f, c.remote.Keys.Value(f.Key), fd.Lease, fd.Reply):
		case fd.Leasable():
			cl.Free = append(cl.Free, tk)
		case f.Reason != inflight.ForRefresh && fd.Framed():
			if fd.Record != nil { // otherwise the key has only values of other releases
				f.Offer(c.tiers.Fill(f.Ref, &fd, &c.view), inflight.FromRemote)
			}
			cl.Occupied = append(cl.Occupied, tk)
		default:
			cl.Ready = append(cl.Ready, tk) // the old value stays until a newer one is stored
		}
	}
	j.dropFinished()
	j.startRefreshes()
	return j.claim(cl)
}

// claim acquires a permit for the tasks and the leases that they need. It returns the tasks that this job must load, and the other
// flights, which wait.
func (j *job[T]) claim(cl claims[T]) (tasks []*task[T], waiting []*flight[T]) {
	c := j.cache
	if !j.acquirePermit(&cl) {
		return nil, j.flights
	}
	tasks = c.tiers.Acquire(j.timed, &j.leases, cl, &c.view, c.policy.LoadTimeout)
	claimed := make([]*flight[T], len(tasks))
	for i, tk := range tasks {
		claimed[i] = tk.Flight
	}
	waiting = j.others(claimed)
	j.exactReads = slices.ContainsFunc(waiting, func(f *flight[T]) bool { return !j.leases.Waits.Has(f) })
	return tasks, waiting
}

// newTask returns a task for the flight, whose job began to look then. If the read found no record, the loader gets the one of the
// local tier.
func (j *job[T]) newTask(f *flight[T], fd *remote.Result[T], began mono.Instant) *task[T] {
	tk := &task[T]{Flight: f, Found: *fd, Began: began, Invalidations: f.State.began}
	if o := f.Fallback(); fd.Record == nil && o != nil && !o.Deleted() {
		tk.Found.Record, tk.InMemory = &o.Record, true
	} else if f.Reason == inflight.ForRefresh && fd.Record == nil {
		if it := j.cache.local.GetUnverifiedStale(f.Key, f.Hash); it != nil {
			tk.Found.Record, tk.InMemory = &it.Record, true
		}
	}
	return tk
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
	how := remote.ReadOptions{Exact: j.exactReads, Started: make([]redisconn.Pending, len(due))}
	at := mono.Now()
	for i, f := range due {
		f.Wake = j.leases.Waits.Wake()
		heard := c.keys.Listen(f.Ref, f.Wake).Changes
		if heard != f.Changes {
			f.State.started = redisconn.Pending{} // it may be older than the change that was reported
		}
		if f.State.started.Read == nil {
			f.State.asked = at
		}
		how.Started[i], f.State.started = f.State.started, redisconn.Pending{}
		f.Changes = heard
	}
	if err == nil && j.leasesFirst && len(due) == 1 {
		return j.readOrLease(due)
	}
	if err == nil {
		refs := make([]keyRef[T], len(due))
		for i, f := range due {
			refs[i] = f.Ref
		}
		return c.tiers.Read(j.timed, refs, &c.view, how)
	}
	if redisconn.NotSent(err) {
		c.stats.spared.Add(uint64(len(due)))
	}
	results := make([]remote.Result[T], len(due))
	for i, a := range c.remote.Failed(len(due), err) {
		results[i].Reply = a
	}
	return results
}

// readOrLease is readRemote of the job's first round if its read takes the lease.
func (j *job[T]) readOrLease(one []*flight[T]) []remote.Result[T] {
	c := j.cache
	j.leasesFirst = false
	found, ok := c.tiers.ReadOrLease(j.timed, &j.leases, one[0], &c.view, c.policy.LoadTimeout)
	if !ok {
		return j.readRemote(one, nil)
	}
	c.absences.note(found[0].Record != nil, &found[0].Reply)
	return found
}
