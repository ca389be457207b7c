package tiered

import (
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// retries are the failed flights that callers still join, so that a failing source isn't asked again before RetryAfter.
type retries[T any] struct {
	keys *keyTable[T]
	life *redisconn.Lifecycle

	mu     sync.Mutex
	timers map[*flight[T]]*time.Timer // each of which is counted in life
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
		r.timers = make(map[*flight[T]]*time.Timer)
	}
	r.timers[f] = time.AfterFunc(by, func() { r.end(f) })
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
	for f, timer := range r.timers {
		if timer.Stop() { // otherwise end is about to remove it
			delete(r.timers, f)
			r.keys.Leave(f)
			r.life.End()
		}
	}
}
