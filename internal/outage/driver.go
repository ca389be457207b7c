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

// run is one run of a scenario.
type run struct {
	t         testing.TB
	scenario  Scenario
	options   Options
	clock     clock
	server    *redistest.Server
	source    *database
	processes []*process
	observers []*observer
	journal   journal
	noise     noise
	peak      peak
	episodes  int           // of the fault
	fault     span          // all of it
	loss      time.Duration // from when on values may be invalid that nobody changed; 0: never
	recovered time.Duration // when invalidations arrived everywhere again
}

// Run has caches live through the scenario, and returns what was found. What keeps it from doing so fails the test.
func Run(t testing.TB, s Scenario, o Options) *Report {
	t.Helper()
	r := &run{t: t, scenario: s, options: o, clock: clock{time.Now()}, episodes: 1}
	r.server = redistest.Start(t, s.redis...)
	r.source = newDatabase(r.clock, o.Seed)
	for i := range processes {
		r.processes = append(r.processes, r.startProcess(t, i))
	}
	r.warm()
	before := currentUsage()
	r.labour()
	late := r.converge()
	rep := r.report(r.journal.calls)
	rep.found = append(rep.found, late...)
	r.journal.calls = nil // or they would count as usage
	after, found := r.checkUsage(before)
	rep.found = append(rep.found, found...)
	rep.before, rep.after = before, after
	return rep
}

// warm has every process read every key, and what is cached for long until it is in its local tier: the echo of a store
// takes it out once.
func (r *run) warm() {
	var all errgroup.Group
	for _, p := range r.processes {
		all.Go(func() error {
			for _, m := range roster {
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
	if !await(patience, func() bool { return r.well() && r.local() }) {
		r.t.Fatal("outage: before any fault: no invalidations arrive, or a local tier keeps nothing")
	}
}

// local reports whether every process has all keys of the lasting cache in its local tier, and reads those that aren't there:
// a busy machine may have kept one from being stored.
func (r *run) local() (all bool) {
	all = true
	for _, p := range r.processes {
		for _, key := range keysOf(lasting, p.number) {
			if e, _ := p.caches[lasting].Lookup(context.Background(), key); e.Tier != tiered.Local {
				all = false
				_, _ = r.getOrLoad(p, lasting, key) // and looks again
			}
		}
	}
	return all
}

// well reports whether invalidations arrive everywhere.
func (r *run) well() bool {
	for _, p := range r.processes {
		if p.status() != nil {
			return false
		}
	}
	return true
}

// labour is the load, with the fault in the middle of it.
func (r *run) labour() {
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
	r.breakIt(ctx, &injector{r, rng(processes, 0)})
	if await(patience, r.well) {
		r.recovered = r.clock.now()
	}
	pause(ctx, r.options.calm())
	cancel()
	all.Wait()
}

// breakIt is the fault, in the middle of which the source may fail, too.
func (r *run) breakIt(ctx context.Context, in *injector) {
	var beside sync.WaitGroup
	r.fault.start = r.clock.now()
	beside.Go(func() {
		pause(ctx, r.options.Time/3)
		r.peak.see()
		if r.scenario.both {
			defer r.source.turn(weather{fails: 1})()
		}
		pause(ctx, r.options.Time/3)
		r.peak.see()
	})
	r.scenario.inject(in)
	r.fault.end = r.clock.now()
	beside.Wait()
}

// loses notes that from now on values may be invalid that nobody changed.
func (r *run) loses() { r.loss = r.clock.now() }
