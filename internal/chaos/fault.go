//go:build !windows

package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// layer is where a fault is. Two faults at the same time are in different layers.
type layer int

const (
	network layer = iota // between one worker and Redis
	workers              // their processes
	servers
)

// fault is a way to break something. inject breaks it, and returns when it works again.
type fault struct {
	name   string
	layer  layer
	in     []Topology // nil: all
	inject func(*injector)
}

func faults() []fault {
	return slices.Concat(networkFaults(), workerFaults(), serverFaults(), failovers())
}

// rareFaults returns the faults that only some focuses have.
func rareFaults() []fault {
	return []fault{{"lose tags", servers, nil, (*injector).loseTags}}
}

// injectedFault says when a fault was injected.
type injectedFault struct {
	Fault      string
	Start, End int64
}

// injector is one fault under way.
type injector struct {
	*run
	context.Context // ends with the run; a fault need not
	rng             *rand.Rand
}

// hold leaves the fault in place for a random time between least and most.
func (in *injector) hold(least, most time.Duration) {
	pause(in, least+time.Duration(in.rng.Int64N(int64(most-least)+1)))
}

func (in *injector) slot() *slot { return in.workers.slots[in.rng.IntN(len(in.workers.slots))] }

// master returns one of the masters at random.
func (in *injector) master() node {
	masters := in.masters()
	return masters[in.rng.IntN(len(masters))]
}

func (in *injector) masters() (all []node) {
	for _, m := range in.deployment.masters() {
		all = append(all, node(m.Addr()))
	}
	return all
}

// schedule injects faults until ctx ends: all of them in random order, then all again. For about half of the time there is
// no fault, and now and then for long enough to see that the effects of the last one end.
func (r *run) schedule(ctx context.Context) {
	rng := rand.New(rand.NewPCG(r.options.Seed, 1))
	var bag []fault
	for ctx.Err() == nil && len(r.options.faults()) > 0 {
		calm := 200*time.Millisecond + time.Duration(rng.Int64N(int64(500*time.Millisecond)))
		if rng.IntN(4) == 0 {
			calm += 1500 * time.Millisecond
		}
		pause(ctx, calm)
		if len(bag) == 0 {
			bag = r.shuffledFaults(rng)
		}
		now := bag[:1]
		if len(bag) > 1 && bag[0].layer != bag[1].layer && rng.IntN(3) == 0 {
			now = bag[:2]
		}
		bag = bag[len(now):]
		var running sync.WaitGroup
		for _, f := range now {
			in := &injector{r, ctx, rand.New(rand.NewPCG(rng.Uint64(), 0))}
			if ctx.Err() == nil {
				running.Go(func() {
					defer in.recordFault(f.name)()
					f.inject(in)
				})
			}
		}
		running.Wait()
	}
}

func (r *run) shuffledFaults(rng *rand.Rand) []fault {
	all := r.options.faults()
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
