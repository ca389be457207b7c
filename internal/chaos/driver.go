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

// run is one run, as the parent sees it.
type run struct {
	t          testing.TB
	options    Options
	deployment *deployment
	source     *source
	fleet      *fleet
	foreign    *foreigner
	killed     atomic.Int64 // workers
	evicted    atomic.Int64 // keys

	mu       sync.Mutex
	episodes []episode
	outages  []outage
	losses   []*loss
	expected []node // the masters
	usurped  int    // how often others were found in their place
}

// outage is a time in which workers could not reach Redis.
type outage struct {
	slots      []*slot
	start, end int64
}

// Run has workers use a Redis that is being broken, and returns what was found. What keeps it from doing so fails the
// test.
func Run(t testing.TB, o Options) *Report {
	t.Helper()
	dir := t.TempDir()
	r := &run{t: t, options: o, deployment: deploy(t, o.Topology)}
	var err error
	if r.source, err = startSource(o.Seed, o.focus().load); err != nil {
		t.Fatal(err)
	}
	defer r.source.close()
	r.fleet = newFleet(o, r.deployment.plan, r.source.address, dir)
	defer r.fleet.close()
	if err := r.fleet.launch(r.deployment.addrs()); err != nil {
		t.Fatal(err)
	}
	r.foreign = newForeigner(o, r.deployment.plan)
	r.labour()
	if err := r.foreign.close(); err != nil {
		t.Error(err)
	}
	counted, err := r.fleet.finish()
	if err != nil {
		t.Error(err)
	}
	record, err := r.record()
	if err != nil {
		t.Fatal(err)
	}
	return r.report(record, counted)
}

// labour is the time that was asked for, and what the last fault takes.
func (r *run) labour() {
	ctx, cancel := context.WithTimeout(context.Background(), r.options.Time)
	defer cancel()
	in := &injector{run: r, Context: ctx}
	in.expect()
	var all sync.WaitGroup
	if r.options.Focus == "" {
		all.Go(func() { r.foreign.labour(ctx) })
	}
	all.Go(func() { <-ctx.Done() }) // a focus may have no faults
	all.Go(func() { r.schedule(ctx) })
	all.Wait()
	in.checkMasters()
}

// disturb notes that a fault begins. What it returns notes its end.
func (r *run) disturb(fault string) func() {
	start := history.Clock()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.episodes = append(r.episodes, episode{fault, start, history.Clock()})
	}
}

// outage notes that the slots' workers can't reach Redis from now on. What it returns notes that they can in a while;
// only its first call counts.
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

// checkMasters counts failovers that nobody asked for, for want of time on a busy machine: of those nobody knows what they lost.
func (in *injector) checkMasters() {
	now := in.masters()
	slices.Sort(now)
	in.mu.Lock()
	defer in.mu.Unlock()
	if !slices.Equal(now, in.expected) {
		in.usurped++
	}
}
