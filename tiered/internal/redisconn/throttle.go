package redisconn

import (
	"log/slog"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// logEvery is how often outages of one kind are logged when a server comes and goes.
const logEvery = 10 * time.Second

// LogThrottle keeps the log short when a server comes and goes. An outage that begins within logEvery of one that was
// logged isn't logged, unless it outlasts that time. The end of an outage is logged if its beginning was. The owner's lock
// guards it.
type LogThrottle struct {
	logged     bool         // the beginning of the present outage
	heldBack   bool         // the present outage was held back
	next       mono.Instant // when the next may be logged; 0: now
	suppressed int          // outages since the last one that was logged
}

// Begin reports whether to log the outage, and how many before it weren't. It may be called again while the outage lasts.
func (t *LogThrottle) Begin(at mono.Instant) (log bool, suppressed int) {
	if t.logged {
		return false, 0
	}
	if t.next != 0 && at < t.next {
		t.heldBack = true
		return false, 0
	}
	suppressed = t.suppressed
	*t = LogThrottle{logged: true, next: at.Add(logEvery)}
	return true, suppressed
}

// End reports whether to log that the outage is over.
func (t *LogThrottle) End() (log bool) {
	log = t.logged
	if t.heldBack {
		t.suppressed++
	}
	t.logged, t.heldBack = false, false
	return log
}

// EventThrottle is a LogThrottle for events, which are over at once. It has a lock of its own.
type EventThrottle struct {
	mu      sync.Mutex
	outages LogThrottle
}

// Allow reports whether to log an event, and how many before it weren't.
func (t *EventThrottle) Allow(at mono.Instant) (log bool, suppressed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.outages.End()
	return t.outages.Begin(at)
}

// WithSuppressed appends how many events weren't logged, if there were any.
func WithSuppressed(n int, attrs ...slog.Attr) []slog.Attr {
	if n > 0 {
		attrs = append(attrs, slog.Int("suppressed", n))
	}
	return attrs
}
