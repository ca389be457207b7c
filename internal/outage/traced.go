//go:build !windows

package outage

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// traced records what the caches of a process report through Trace.
type traced struct {
	clock                         clock
	stale, opened, closed, queued atomic.Int64

	mu      sync.Mutex
	changes []breakerChange
}

// breakerChange is the opening or closing of a breaker.
type breakerChange struct {
	at   time.Duration
	open bool
}

func (t *traced) trace() *tiered.Trace {
	return &tiered.Trace{
		StaleServed: func(context.Context, string, error) { t.stale.Add(1) },
		Breaker: func(_ string, cause error) {
			t.recordChange(cause != nil)
			if cause != nil {
				t.opened.Add(1)
			} else {
				t.closed.Add(1)
			}
		},
		Queued: func(keys []string, _ error) { t.queued.Add(int64(len(keys))) },
	}
}

func (t *traced) recordChange(open bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes = append(t.changes, breakerChange{t.clock.now(), open})
}

// openSpans returns when a breaker of the process may have been open. Trace reports a change only after it was made.
func (t *traced) openSpans(now time.Duration) (spans []span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	open, since := 0, time.Duration(0)
	for _, turn := range append(slices.Clone(t.changes), breakerChange{at: now}) {
		if open > 0 {
			spans = append(spans, span{since, turn.at}.widened(timeout, 0))
		}
		if since = turn.at; turn.open {
			open++
		} else {
			open--
		}
	}
	return spans
}

// closings returns when a breaker of the process was closed.
func (t *traced) closings() (times []time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, turn := range t.changes {
		if !turn.open {
			times = append(times, turn.at)
		}
	}
	return times
}
