package inflight

import (
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Retries are the failed flights that callers still join, so that a failing source isn't asked again at once.
type Retries[T, S any] struct {
	table *Table[T, S]

	mu     sync.Mutex
	closed bool
	timers map[*Flight[T, S]]retry
	ending sync.WaitGroup // has one for each timer that wasn't stopped
}

// retry is the end of a failed flight.
type retry struct {
	timer *time.Timer
	until mono.Instant
}

// NewRetries returns an empty set of failed flights of the table.
func NewRetries[T, S any](t *Table[T, S]) *Retries[T, S] {
	return &Retries[T, S]{table: t, timers: make(map[*Flight[T, S]]retry)}
}

// Delay lets callers join the failed flight for the given time, or until Close, and then removes it. After Close it returns false,
// and does nothing.
func (r *Retries[T, S]) Delay(f *Flight[T, S], by time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.table.linger(f)
	r.ending.Add(1)
	r.timers[f] = retry{time.AfterFunc(by, func() { r.end(f) }), mono.Now().Add(by)}
	return true
}

// end removes a flight whose time has passed.
func (r *Retries[T, S]) end(f *Flight[T, S]) {
	defer r.ending.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.timers, f)
	r.table.Leave(f)
}

// Close removes the flights whose time hasn't passed.
func (r *Retries[T, S]) Close() {
	r.mu.Lock()
	r.closed = true
	for f, p := range r.timers {
		if p.timer.Stop() { // otherwise end is about to remove it
			delete(r.timers, f)
			r.table.Leave(f)
			r.ending.Done()
		}
	}
	r.mu.Unlock()
	r.ending.Wait()
}

// Left returns for how long callers still join the failed flight.
func (r *Retries[T, S]) Left(f *Flight[T, S]) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.timers[f]; ok {
		return max(0, p.until.Since(mono.Now()))
	}
	return 0
}

// Len returns how many failed flights there are.
func (r *Retries[T, S]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.timers)
}
