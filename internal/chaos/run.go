//go:build !windows

package chaos

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// run is the parent's state of a run.
type run struct {
	t          testing.TB
	options    Options
	deployment *deployment
	source     *source
	workers    *workerSet
	foreign    *foreignWriter
	killed     atomic.Int64 // workers
	deployed   atomic.Int64 // workers
	evicted    atomic.Int64 // keys

	mu        sync.Mutex
	injected  []injectedFault
	outages   []outage
	losses    []*loss
	expected  []node // the masters
	unplanned int    // how often other masters were found
}

// injectedFault says when a fault was injected.
type injectedFault struct {
	Fault      string
	Start, End int64
}

// outage is a time in which workers could not reach Redis.
type outage struct {
	slots      []*slot
	start, end int64
}

// recordFault records the beginning of a fault. The returned function records its end.
func (r *run) recordFault(fault string) func() {
	start := history.Clock()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.injected = append(r.injected, injectedFault{fault, start, history.Clock()})
	}
}

// outage records that the slots' workers can't reach Redis from now on. The returned function records that they can again
// after a given time; only its first call counts.
func (r *run) outage(slots ...*slot) func(inAWhile time.Duration) {
	start := history.Clock()
	var once sync.Once
	return func(inAWhile time.Duration) {
		once.Do(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.outages = append(r.outages, outage{slots, start, history.Clock() + int64(inAWhile)})
		})
	}
}

// recordLoss adds a loss to the run.
func (r *run) recordLoss(l *loss) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.losses = append(r.losses, l)
}
