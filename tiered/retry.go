package tiered

import (
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// remove removes a flight that finishes, so that the next caller starts a new one. A failed flight with a fallback to serve stays
// for RetryAfter, so that a failing source isn't asked again at once. So does a background load whose value can't be stored.
func (t *job[T]) remove(f *flight[T], failure error) {
	c := t.cache
	if failure != nil && f.Reason == inflight.ForBackground && !c.life.Closed() {
		c.logUncaught(&c.background, "tiered: a load in the background failed", f.Key, failure)
	}
	failed := failure != nil || f.State.unstorable && f.Reason == inflight.ForBackground // nobody receives the latter's value
	serves := failed && f.Reason != inflight.ForRefresh && !c.life.Closed() && c.fallbackOf(f, record.IfError) != nil
	if !serves || !c.retries.delay(f, c.policy.RetryAfter) {
		c.keys.Leave(f)
	}
}

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
