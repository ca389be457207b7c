//go:build !windows

package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

func faults() []fault {
	return slices.Concat(networkFaults(), workerFaults(), serverFaults(), failovers(), sourceFaults())
}

// rareFaults returns the faults that only some focuses have.
func rareFaults() []fault {
	return []fault{{"lose tags", servers, nil, (*injector).loseTags}}
}

// faultsOf returns the faults of a run.
func faultsOf(o Options) []fault {
	named := o.focus().faults
	all := faults()
	if o.Focus != "" {
		all = append(all, rareFaults()...)
	}
	return slices.DeleteFunc(all, func(f fault) bool {
		return f.in != nil && !slices.Contains(f.in, o.Topology) || o.Focus != "" && !slices.Contains(named, f.name)
	})
}

// schedule injects faults until ctx ends: all of them in random order, then all again. For about half of the time there is
// no fault, and now and then for long enough to see that the effects of the last one end.
func (r *run) schedule(ctx context.Context) {
	rng := rand.New(rand.NewPCG(r.options.Seed, 1))
	var bag []fault
	for ctx.Err() == nil && len(faultsOf(r.options)) > 0 {
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
	all := faultsOf(r.options)
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
