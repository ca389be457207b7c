package tiered

import (
	"fmt"
	"slices"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
)

// A job calls its loader only while it has one of the cache's places (Options.MaxLoads). It acquires the place after it has read Redis, so
// that a hit needs none, and before it takes leases, so that it doesn't keep other processes from loading keys for which it has no place.
// The loader may outlive the job's time: the place is free when it has returned.
//
// A job that finds no free place waits in the line. Its rounds go on: when another process stores one of the values, the flight of that
// key is finished. A job leaves the line when all its flights have finished, wait for loads of other processes, or are abandoned.
//
// A loader may use its cache for other keys, and keeps its place meanwhile. If all loads that have a place did that, and waited for
// flights in the line, none could end. So such a flight gets a place beyond the limit. It counts as running: no other load gets
// a place until there are fewer than MaxLoads again.
//
// The calls of a batch's loader run one at a time (many.go). A call that waits for its turn already has its place, as it has its leases.

// enter reports whether the job may load the tasks, because it has a place. If it may not, it waits in the line, or the tasks' flights
// have failed because the line is full.
func (j *job[T]) enter(tasks ...[]*task[T]) bool {
	c, n := j.cache, 0
	for _, some := range tasks {
		n += len(some)
	}
	switch {
	case n == 0:
		return true
	case j.lined:
		return false
	}
	standing := c.places.Enter(&j.place, j.flights[0].Reason == inflight.ForBackground)
	if standing == inflight.Inside {
		return true
	}
	all, flights := slices.Concat(tasks...), make([]*flight[T], n)
	for i, tk := range all {
		flights[i] = tk.flight
		j.waits.Remove(tk.flight) // it may have waited for a lease before
	}
	if j.lined = standing == inflight.Waiting; j.lined {
		return false
	}
	if j.assess(flights) {
		return true
	}
	c.stats.countShed(n)
	j.finishTasks(all, fmt.Errorf("%w: all places are taken, and the line of those that wait is full", ErrOverloaded))
	return false
}

// mustRead reports whether the flight's key must be read from Redis in this round. While the job is in the line, that is only if its key
// has changed.
func (j *job[T]) mustRead(f *flight[T]) bool {
	changed := !j.cache.keys.IsCurrent(f)
	return (changed || !j.lined) && j.waits.Due(f, changed)
}

// awaitPlace waits until the job has a place, or there is another reason for a new round. Flights that wait for another process's
// load get a job of their own, without a place. It reports whether this job must still finish its flights.
func (j *job[T]) awaitPlace() bool {
	leased := slices.DeleteFunc(slices.Clone(j.flights), func(f *flight[T]) bool { return !j.waits.Has(f) })
	if len(leased) == len(j.flights) {
		j.cache.places.Leave(&j.place)
		j.lined = false
		return true
	}
	j.split(leased)
	if j.assess(j.flights) || len(j.flights) == 0 {
		return true
	}
	return j.interruptible(func() {
		select {
		case <-j.place.Granted():
		case <-j.waits.Wake():
		case <-j.timed.Done():
		}
	})
}

// assess finishes those of the flights that are abandoned. If a running load waits for one of the others, the job gets a place; assess
// reports whether it does.
func (j *job[T]) assess(flights []*flight[T]) (admitted bool) {
	c := j.cache
	for _, f := range flights {
		switch c.keys.Demand(f, j.waits.Wake()) {
		case inflight.Urgent:
			admitted = true
		case inflight.Abandoned:
			c.finishFlight(f, nil, errAbandoned)
		}
	}
	j.dropFinished()
	if admitted {
		c.places.Admit(&j.place)
	}
	return admitted
}
