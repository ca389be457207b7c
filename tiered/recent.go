package tiered

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/mono"
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
