package tiered

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// finishTasks finishes the flights of the tasks without a result if err isn't nil, and of those with a result if it is.
func (j *job[T]) finishTasks(tasks []*task[T], err error) {
	var ending []*task[T]
	for _, tk := range tasks {
		if (tk.Result == nil) == (err != nil) && !tk.Flight.Finished() {
			ending = append(ending, tk)
			tk.Flight.State.unstorable = tk.Unstorable != nil
			j.remove(tk.Flight, err) // before any caller returns: its next call must start a new flight
		}
	}
	for _, tk := range ending {
		if err != nil {
			tk.Flight.Finish(nil, err)
		} else {
			tk.Flight.Finish(tk.Result, tk.Err)
		}
	}
	j.dropFinished()
}

// finishUnverified finishes the flight with the local tier's value if Redis can't be read, and reports whether it did. A value that
// can't finish the flight becomes its fallback.
func (j *job[T]) finishUnverified(f *flight[T], err error) bool {
	c := j.cache
	if f.Reason == inflight.ForRefresh || !redisconn.Unanswered(err) {
		return false
	}
	if f.Reason == inflight.ForRead {
		if it := c.local.GetUnverified(f.Key, f.Hash, &c.view.Windows); it != nil {
			j.serve(f, &it.Record)
			return true
		}
	}
	if it := c.local.GetUnverifiedStale(f.Key, f.Hash); it != nil {
		f.Offer(it, inflight.FromUnverified)
	}
	return false
}

// fail finishes all flights that have not finished.
func (j *job[T]) fail(err error) {
	j.dropFinished()
	j.endWait(err)
	for _, f := range j.flights {
		j.remove(f, err)
	}
	for _, f := range j.flights {
		f.Finish(nil, err)
	}
	j.dropFinished()
}

// failPanicked finishes the flights after a panic or a Goexit. The callers panic too; a background load, which has none, only fails.
func (j *job[T]) failPanicked(err error) {
	j.endWait(err)
	for _, f := range j.flights {
		if f.Reason == inflight.ForBackground {
			j.remove(f, err)
		} else {
			j.cache.keys.Leave(f)
		}
	}
	for _, f := range j.flights {
		if f.Reason == inflight.ForBackground {
			f.Finish(nil, err)
		} else {
			finishPanicked(f, err)
		}
	}
	j.dropFinished()
}

// overdue finishes the remaining flights when the job's time is over.
func (j *job[T]) overdue() {
	c := j.cache
	limit, ended := c.policy.LoadTimeout, j.timed.Err()
	switch {
	case c.life.Closed():
		if j.loading {
			c.stats.loadErrors.Add(1)
		}
		j.fail(ErrClosed)
	case j.loading:
		c.stats.loadErrors.Add(1)
		j.fail(fmt.Errorf("tiered: the load took longer than LoadTimeout (%v): %w", limit, ended))
	case j.inQueue:
		c.stats.countShed(len(j.flights))
		j.fail(fmt.Errorf("%w: there was no permit within LoadTimeout (%v): %w", ErrOverloaded, limit, ended))
	default:
		j.fail(fmt.Errorf("tiered: another process's load took longer than LoadTimeout (%v): %w", limit, ended))
	}
}

// dropFinished removes the finished flights from the job.
func (j *job[T]) dropFinished() {
	j.flights = slices.DeleteFunc(j.flights, func(f *flight[T]) bool { return f.Finished() })
}

// finishBehind finishes flights before their values are stored, if the policy has StoreBehind. Callers can join these flights until
// removeStored gets them, after the store has succeeded or failed. A Refresh isn't finished early: its process may still have the
// old value.
func (j *job[T]) finishBehind(tasks []*task[T]) (finished []*flight[T]) {
	for _, tk := range tasks {
		if j.cache.policy.StoreBehind && tk.Result != nil && tk.Flight.Reason != inflight.ForRefresh {
			tk.Flight.State.unstorable = tk.Unstorable != nil
			tk.Flight.Finish(tk.Result, tk.Err)
			finished = append(finished, tk.Flight)
		}
	}
	return finished
}

func (j *job[T]) removeStored(finished []*flight[T]) {
	for _, f := range finished {
		j.remove(f, nil)
	}
}

// remove removes a flight that finishes, so that the next caller starts a new one. A failed flight with a fallback to serve stays
// for RetryAfter, so that a failing source isn't asked again at once. So does a background load whose value can't be stored.
func (j *job[T]) remove(f *flight[T], failure error) {
	c := j.cache
	if failure != nil {
		c.eventLog.Failed(f.Key, failure)
	}
	if failure != nil && f.Reason == inflight.ForBackground && !c.life.Closed() {
		c.logUncaught(&c.background, "tiered: a load in the background failed", f.Key, failure)
	}
	failed := failure != nil || f.State.unstorable && f.Reason == inflight.ForBackground // nobody receives the latter's value
	serves := failed && f.Reason != inflight.ForRefresh && !c.life.Closed() && c.fallbackOf(f, record.IfError) != nil
	if !serves || !c.retries.Delay(f, c.policy.RetryAfter) {
		c.keys.Leave(f)
	}
}

// loadError returns the error that the callers of a load get, and counts the failure. It returns nil for ErrNotFound.
func (c *Cache[T]) loadError(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	c.stats.loadErrors.Add(1)
	return err
}
