//go:build !windows

package outage

import (
	"context"
	"sync/atomic"
	"time"
)

// worstTime is how long a call of the fragile source takes if there are far too many.
const worstTime = 2 * time.Second

// fragileSource becomes slower when it gets more calls than it can serve, and doesn't notice that nobody waits for a call any more.
type fragileSource struct {
	capacity      int           // calls that it serves at a time
	serviceTime   time.Duration // of a call, if there are no more than that
	running, peak atomic.Int64
}

// call makes one call. It doesn't end with a context.
func (s *fragileSource) call() {
	n := s.running.Add(1)
	defer s.running.Add(-1)
	for p := s.peak.Load(); n > p && !s.peak.CompareAndSwap(p, n); p = s.peak.Load() {
	}
	over := max(1, float64(n)/float64(s.capacity))
	pause(context.Background(), min(worstTime, time.Duration(over*over*float64(s.serviceTime))))
}
