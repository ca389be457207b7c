//go:build !windows

package outage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Run runs caches through the scenario and returns the report. It fails the test if it can't do that.
func Run(t testing.TB, s Scenario, o Options) *Report {
	t.Helper()
	r := &run{t: t, scenario: s, options: o, clock: clock{time.Now()}, episodes: 1}
	r.server = redistest.Start(t, s.redis...)
	r.source = newDatabase(r.clock, o.Seed)
	for i := range processes {
		r.processes = append(r.processes, startProcess(t, i, r.clock, r.server.Addr()))
	}
	r.warm()
	before := currentUsage()
	r.execute()
	late := r.converge()
	rep := r.report(r.journal.calls)
	rep.found = append(rep.found, late...)
	r.journal.calls = nil // or they would count as usage
	after, found := checkUsage(before)
	rep.found = append(rep.found, found...)
	rep.before, rep.after = before, after
	return rep
}

// warm has every process read every key, and the keys of the long-lived cache until they are in its local tier: the
// invalidation that a store causes removes them once.
func (r *run) warm() {
	var all errgroup.Group
	for _, p := range r.processes {
		all.Go(func() error {
			for _, m := range cacheConfigs {
				for _, key := range keysOf(m, p.number) {
					if _, err := r.getOrLoad(p, m, key); err != nil {
						return fmt.Errorf("%s: %s: %w", m.name, key, err)
					}
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		r.t.Fatalf("outage: before any fault: %v", err)
	}
	if !await(patience, func() bool { return r.healthy() && r.allLocal() }) {
		r.t.Fatal("outage: before any fault: no invalidations arrive, or a local tier keeps nothing")
	}
}

// allLocal reports whether every process has all keys of the long-lived cache in its local tier, and reads the missing ones:
// on a busy machine one may not have been stored.
func (r *run) allLocal() (all bool) {
	all = true
	for _, p := range r.processes {
		for _, key := range keysOf(longLived, p.number) {
			if e, _ := p.caches[longLived].Lookup(context.Background(), key); e.Tier != tiered.Local {
				all = false
				_, _ = r.getOrLoad(p, longLived, key) // allLocal is called again
			}
		}
	}
	return all
}

// healthy reports whether all processes receive invalidations.
func (r *run) healthy() bool {
	for _, p := range r.processes {
		if p.status() != nil {
			return false
		}
	}
	return true
}

// execute runs the workload, and injects the fault in the middle of it.
func (r *run) execute() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all sync.WaitGroup
	rng := func(process, n int) *rand.Rand { return rand.New(rand.NewPCG(r.options.Seed, uint64(process<<8|n))) }
	all.Go(func() { r.noise.measure(ctx) })
	for _, p := range r.processes {
		for i := range readers {
			all.Go(func() { (&reader{r, p, rng(p.number, i)}).read(ctx) })
		}
		all.Go(func() { (&changer{r, p, rng(p.number, readers)}).change(ctx) })
		o := &observer{process: p}
		r.observers = append(r.observers, o)
		all.Go(func() { o.observe(ctx, r.clock) })
	}
	pause(ctx, r.options.calm())
	r.injectFault(ctx, &injector{r, rng(processes, 0)})
	if await(patience, r.healthy) {
		r.recovered = r.clock.now()
	}
	pause(ctx, r.options.calm())
	cancel()
	all.Wait()
}

// injectFault injects the scenario's fault. In the middle of it the source fails, too, if the scenario says so.
func (r *run) injectFault(ctx context.Context, in *injector) {
	var background sync.WaitGroup
	r.fault.start = r.clock.now()
	background.Go(func() {
		pause(ctx, r.options.Time/3)
		r.peak.sample()
		if r.scenario.sourceFails {
			defer r.source.setMode(sourceMode{fails: 1})()
		}
		pause(ctx, r.options.Time/3)
		r.peak.sample()
	})
	r.scenario.inject(in)
	r.fault.end = r.clock.now()
	background.Wait()
}
