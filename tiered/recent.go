package tiered

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

const (
	maxEvents   = 1024
	maxEventKey = 4 << 10          // bytes; events of longer keys aren't kept
	watchedFor  = 10 * time.Minute // after the last call of Events or HotKeys
)

// recentEvents are the last misses and loads. They are recorded only while somebody asks for them, so otherwise a miss only reads until.
type recentEvents struct {
	until atomic.Int64 // the Instant at which recording ends

	mu     sync.Mutex
	events [maxEvents]inspection.Event // a ring
	n      uint64                      // how many were recorded
}

// on reports whether events are recorded.
func (r *recentEvents) on() bool {
	until := r.until.Load()
	return until != 0 && int64(mono.Now()) < until
}

// add records an event, if events are recorded.
func (r *recentEvents) add(e inspection.Event) {
	if !r.on() || len(e.Key) > maxEventKey {
		return
	}
	e.At = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[r.n%maxEvents] = e
	r.n++
}

// latest returns the events for which keep returns true, the newest first.
func (r *recentEvents) latest(keep func(*inspection.Event) bool) (all []inspection.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := r.n; i > 0 && i+maxEvents > r.n; i-- {
		if e := &r.events[(i-1)%maxEvents]; keep(e) {
			all = append(all, *e)
		}
	}
	return all
}

// of returns the events of a key, the newest first.
func (r *recentEvents) of(key string) []inspection.Event {
	return r.latest(func(e *inspection.Event) bool { return e.Key == key })
}

// recordMisses records the misses that make a load necessary. It returns the present instant, if events are recorded.
func (c *core[T]) recordMisses(tasks []*task[T]) mono.Instant {
	if !c.recent.on() {
		return 0
	}
	for _, tk := range tasks {
		reason := "there is no Redis, and no copy in memory that could be served"
		if c.remote != nil {
			reason = missReason(&tk.found)
		}
		c.recent.add(inspection.Event{Key: tk.flight.Key, Kind: inspection.Missed, Reason: reason})
	}
	return mono.Now()
}

// recordMiss records the miss of a read without a loader.
func (c *core[T]) recordMiss(key string, f *remote.Result[T]) {
	if c.recent.on() {
		c.recent.add(inspection.Event{Key: key, Kind: inspection.Missed, Reason: missReason(f)})
	}
}

// recordLoads records that a loader has returned the results of the tasks. It began at the instant.
func (c *core[T]) recordLoads(tasks []*task[T], began mono.Instant) {
	if began == 0 || !c.recent.on() {
		return
	}
	took := mono.Now().Since(began)
	for _, tk := range tasks {
		if tk.result != nil {
			c.recent.add(inspection.Event{Key: tk.flight.Key, Kind: inspection.Loaded, Took: took})
		}
	}
}

// recordFailure records that the load of a key failed.
func (c *core[T]) recordFailure(key string, why error) {
	if c.recent.on() {
		c.recent.add(inspection.Event{Key: key, Kind: inspection.Failed, Reason: why.Error()})
	}
}

// Events returns the last misses and loads of this process, the newest first, at most 1,024. They are recorded from the first call on,
// until ten minutes after the last one, so the first call returns none. Misses of keys over 4 kB aren't recorded.
func (c *Cache[T]) Events() []inspection.Event {
	c.recent.until.Store(int64(mono.Now().Add(watchedFor)))
	return c.recent.latest(func(*inspection.Event) bool { return true })
}
