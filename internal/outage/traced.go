//go:build !windows

package outage

import (
	"context"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered"
)

// traced counts what the caches of a process trace.
type traced struct {
	stale, opened, closed, queued atomic.Int64
}

func (t *traced) trace() *tiered.Trace {
	return &tiered.Trace{
		StaleServed: func(context.Context, string, error) { t.stale.Add(1) },
		Breaker: func(_ string, cause error) {
			if cause != nil {
				t.opened.Add(1)
			} else {
				t.closed.Add(1)
			}
		},
		Queued: func(keys []string, _ error) { t.queued.Add(int64(len(keys))) },
	}
}
