package tiered

import (
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// retries are the failed flights that callers still join, so that a failing source isn't asked again before RetryAfter.
type retries[T any] struct {
	keys *keyTable[T]
	life *redisconn.Lifecycle

	mu     sync.Mutex
	timers map[*flight[T]]retry // each of which is counted in life
}

// retry is the end of a failed flight.
type retry struct {
	timer *time.Timer
	until mono.Instant
}

// delay lets callers join the failed flight for the given time, or until the cache closes. It returns false, and does nothing,
// if the cache is closed.
func (r *retries[T]) delay(f *flight[T], by time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.life.Begin() {
		return false
	}
	r.keys.Linger(f)
	if r.timers == nil {
		r.timers = make(map[*flight[T]]retry)
	}
	r.timers[f] = retry{time.AfterFunc(by, func() { r.end(f) }), mono.Now().Add(by)}
	return true
}

// end removes a flight whose time has passed.
func (r *retries[T]) end(f *flight[T]) {
	defer r.life.End()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.timers, f)
	r.keys.Leave(f)
}

// close removes the flights whose time hasn't passed. It must be called after life has been closed.
func (r *retries[T]) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for f, p := range r.timers {
		if p.timer.Stop() { // otherwise end is about to remove it
			delete(r.timers, f)
			r.keys.Leave(f)
			r.life.End()
		}
	}
}

// left returns for how long callers still join the failed flight.
func (r *retries[T]) left(f *flight[T]) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, r.timers[f].until.Since(mono.Now()))
}
