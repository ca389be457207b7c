package tiered

import (
	"fmt"
	"slices"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
)

// A job calls its loader only while it has one of the cache's permits (Options.MaxLoads). It acquires the permit after it has
// read Redis, so that a hit needs none, and before it takes leases, so that it doesn't keep other processes from loading keys for
// which it has no permit. A job whose read takes the lease (absences.go) has acquired it before that, without waiting: if none is
// free, the key is only read. The loader may outlive the job's time: the permit is free when it has returned.
//
// A job that finds no free permit waits in the queue, in which more callers of a key move it forward. Its rounds go on: when
// another process stores one of the values, the flight of that key is finished. A job leaves the queue when all its flights have
// finished, wait for loads of other processes, or are abandoned.
//
// A loader may use its cache for other keys, and keeps its permit meanwhile. If all loads that have a permit did that, and waited for
// flights in the queue, none could end. So such a flight gets a permit beyond the limit. It counts as running: no other load gets
// a permit until there are fewer than MaxLoads again.
//
// The calls of a batch's loader run one at a time (many.go). A call that waits for its turn already has its permit, as it has its leases.

// acquirePermit reports whether the job may load the tasks, because it has a permit. If it may not, it waits in the queue, or the
// tasks' flights have failed because the queue is full.
func (j *job[T]) acquirePermit(cl *claims[T]) bool {
	c := j.cache
	if cl.Len() == 0 {
		return true
	}
	j.endWait(j.timed.Err()) // no other process loads these, or Redis wasn't read because the time is over
	if j.inQueue {
		return false
	}
	standing := c.permits.Acquire(&j.permit)
	if standing == inflight.Held {
		return true
	}
	all, flights := cl.All(), make([]*flight[T], cl.Len())
	for i, tk := range all {
		flights[i] = tk.Flight
		j.leases.Waits.Remove(tk.Flight) // it may have waited for a lease before
	}
	if j.inQueue = standing == inflight.Waiting; j.inQueue {
		return false
	}
	if j.assess(flights) {
		return true
	}
	c.stats.countShed(len(all))
	j.finishTasks(all, fmt.Errorf("%w: all permits are taken, and the queue is full", ErrOverloaded))
	return false
}

// mustRead reports whether the flight's key must be read from Redis in this round. While the job is in the queue, that is only if its key
// has changed.
func (j *job[T]) mustRead(f *flight[T]) bool {
	changed := !j.cache.keys.IsCurrent(f)
	return (changed || !j.inQueue) && j.leases.Waits.Due(f, changed)
}

// awaitPermit waits until the job has a permit, or there is another reason for a new round. Flights that wait for another process's
// load get a job of their own, without a permit. It reports whether this job must still finish its flights.
func (j *job[T]) awaitPermit() bool {
	leased := slices.DeleteFunc(slices.Clone(j.flights), func(f *flight[T]) bool { return !j.leases.Waits.Has(f) })
	if len(leased) == len(j.flights) {
		j.cache.permits.Release(&j.permit)
		j.inQueue = false
		return true
	}
	j.split(leased)
	if j.assess(j.flights) || len(j.flights) == 0 {
		return true
	}
	return j.interruptible(func() {
		select {
		case <-j.permit.Granted():
		case <-j.leases.Waits.Wake():
		case <-j.timed.Done():
		}
	})
}

// assess finishes those of the flights that are abandoned. If a running load waits for one of the others, the job gets a permit; assess
// reports whether it does.
func (j *job[T]) assess(flights []*flight[T]) (admitted bool) {
	c := j.cache
	for _, f := range flights {
		switch c.keys.Demand(f, &j.permit, j.leases.Waits.Wake()) {
		case inflight.Urgent:
			admitted = true
		case inflight.Abandoned:
			c.finishFlight(f, nil, errAbandoned)
		}
	}
	j.dropFinished()
	if admitted {
		c.permits.Admit(&j.permit)
	}
	return admitted
}
