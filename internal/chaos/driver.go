//go:build !windows

package chaos

import (
	"context"
	"slices"
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
	evicted    atomic.Int64 // keys

	mu        sync.Mutex
	injected  []injectedFault
	outages   []outage
	losses    []*loss
	expected  []node // the masters
	unplanned int    // how often other masters were found
}

// outage is a time in which workers could not reach Redis.
type outage struct {
	slots      []*slot
	start, end int64
}

// Run runs the workload while it injects faults, and returns the report. It fails the test if it can't do that.
func Run(t testing.TB, o Options) *Report {
	t.Helper()
	dir := t.TempDir()
	r := &run{t: t, options: o, deployment: deploy(t, o.Topology)}
	var err error
	if r.source, err = startSource(o.Seed, o.focus().load); err != nil {
		t.Fatal(err)
	}
	defer r.source.close()
	r.workers = newWorkerSet(o, r.deployment.plan, r.source.address, dir)
	defer r.workers.close()
	if err := r.workers.launch(r.deployment.addrs()); err != nil {
		t.Fatal(err)
	}
	r.foreign = newForeignWriter(o, r.deployment.plan)
	r.execute()
	if err := r.foreign.close(); err != nil {
		t.Error(err)
	}
	counted, err := r.workers.finish()
	if err != nil {
		t.Error(err)
	}
	record, err := r.record()
	if err != nil {
		t.Fatal(err)
	}
	return r.report(record, counted)
}

// execute runs the workload and the faults for the duration of the run, and until the last fault has ended.
func (r *run) execute() {
	ctx, cancel := context.WithTimeout(context.Background(), r.options.Time)
	defer cancel()
	in := &injector{run: r, Context: ctx}
	in.expectMasters()
	var all sync.WaitGroup
	if r.options.Focus == "" {
		all.Go(func() { r.foreign.run(ctx) })
	}
	all.Go(func() { <-ctx.Done() }) // a focus may have no faults
	all.Go(func() { r.schedule(ctx) })
	all.Wait()
	in.checkMasters()
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

// checkMasters counts failovers that the run didn't cause but a busy machine did. Which writes they lost is unknown.
func (in *injector) checkMasters() {
	now := in.masters()
	slices.Sort(now)
	in.mu.Lock()
	defer in.mu.Unlock()
	if !slices.Equal(now, in.expected) {
		in.unplanned++
	}
}
