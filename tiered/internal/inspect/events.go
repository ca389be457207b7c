package inspect

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	maxEvents = 1024
	maxKey    = 4 << 10          // bytes; events of longer keys aren't kept
	lasting   = 10 * time.Minute // after the last call of All
)

// EventLog has the last events of a cache. The zero EventLog is ready, and records nothing until All is called.
type EventLog struct {
	until atomic.Int64 // the Instant at which recording ends; 0: it is off

	mu     sync.Mutex
	events []inspection.Event // a ring of maxEvents; nil: it is off
	n      int                // how many were added
}

// On reports whether events are recorded.
func (l *EventLog) On() bool {
	until := l.until.Load()
	if until == 0 {
		return false
	}
	if int64(mono.Now()) < until {
		return true
	}
	l.stop()
	return false
}

// stop frees the events, unless All was called meanwhile.
func (l *EventLog) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int64(mono.Now()) >= l.until.Load() {
		l.until.Store(0)
		l.events, l.n = nil, 0
	}
}

// Missed records that a read of the key found no value to serve.
func (l *EventLog) Missed(key, reason string) {
	l.add(inspection.Event{Key: key, Kind: inspection.Missed, Reason: reason})
}

// Loaded records that a loader has returned the key's value.
func (l *EventLog) Loaded(key string, took time.Duration) {
	l.add(inspection.Event{Key: key, Kind: inspection.Loaded, Took: took})
}

// Failed records that a load of the key failed.
func (l *EventLog) Failed(key string, why error) {
	if l.On() { // the text of an error may be expensive
		l.add(inspection.Event{Key: key, Kind: inspection.Failed, Reason: why.Error()})
	}
}

func (l *EventLog) add(e inspection.Event) {
	if !l.On() || len(e.Key) > maxKey {
		return
	}
	e.Key, e.At = strings.Clone(e.Key), time.Now() // the caller may overwrite the key
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == nil { // it was stopped meanwhile
		return
	}
	l.events[l.n%maxEvents] = e
	l.n++
}

// All returns the recorded events, the newest first, and has events recorded for ten minutes more.
func (l *EventLog) All() []inspection.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == nil {
		l.events = make([]inspection.Event, maxEvents)
	}
	l.until.Store(int64(mono.Now().Add(lasting)))
	return l.latest(func(*inspection.Event) bool { return true })
}

// Of returns the recorded events of a key, the newest first.
func (l *EventLog) Of(key string) []inspection.Event {
	if !l.On() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest(func(e *inspection.Event) bool { return e.Key == key })
}

// latest returns the events for which keep returns true, the newest first. The caller holds the lock.
func (l *EventLog) latest(keep func(*inspection.Event) bool) (all []inspection.Event) {
	for i := l.n - 1; i >= max(0, l.n-maxEvents); i-- {
		if e := &l.events[i%maxEvents]; keep(e) {
			all = append(all, *e)
		}
	}
	return all
}
