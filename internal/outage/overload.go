//go:build !windows

package outage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// An overload: the values are in Redis, the local tier has room for few, and Redis is killed.

const (
	overloadKeys = 5000
	afterwards   = 4 * time.Second // how long the run goes on when Redis is back
)

// Overload is the result of an overload.
type Overload struct {
	MaxLoads  int
	Peak      int           // the most calls of the source at a time
	Calm      float64       // the share of calls that were answered before the fault,
	Fault     float64       // during it,
	Last      float64       // and in the last second
	Recovered time.Duration // from the restart of Redis until 99% of the calls were answered; 0: never
	Curve     Curve
}

// RunOverload runs an overload with that limit of loads. The source serves 80 calls at a time, in 10 milliseconds each.
func RunOverload(t testing.TB, maxLoads int, o Options) *Overload {
	t.Helper()
	server := redistest.Start(t)
	keys, rng := numbered(overloadKeys), rand.New(rand.NewPCG(o.Seed, 0))
	fill(t, server, keys)
	cache, end := connect(t, server, timeout, cacheOptions(len(keys)/20, maxLoads))
	defer end()
	a := &arrivals{
		cache: cache, source: fragileSource{capacity: 80, serviceTime: 10 * time.Millisecond},
		next: func() string { return keys[rng.IntN(len(keys))] },
	}
	started, curve := clock{time.Now()}, make(chan Curve)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { curve <- a.run(ctx, t) }()
	pause(ctx, o.calm())
	fault := span{start: started.now()}
	server.Kill()
	pause(ctx, o.Time)
	server.Restart()
	fault.end = started.now()
	pause(ctx, afterwards)
	cancel()
	return newOverload(maxLoads, int(a.source.peak.Load()), fault, <-curve)
}

// newOverload returns the result of an overload.
func newOverload(maxLoads, peak int, fault span, c Curve) *Overload {
	first, last := int((fault.start+binTime-1)/binTime), int(fault.end/binTime)
	o := &Overload{
		MaxLoads: maxLoads, Peak: peak, Curve: c,
		Calm: c[:first-1].Share(), Fault: c[first:last].Share(), Last: c[len(c)-int(time.Second/binTime):].Share(),
	}
	if from, ok := c.recovered(); ok {
		o.Recovered = max(from-fault.end, time.Millisecond)
	}
	return o
}

// String returns the numbers and the curve.
func (o *Overload) String() string {
	recovered := "it didn't recover"
	if o.Recovered > 0 {
		recovered = fmt.Sprintf("recovered in %v", o.Recovered.Round(10*time.Millisecond))
	}
	return fmt.Sprintf("MaxLoads %d: up to %d calls of the source at a time; answered %.1f%% before the fault, %.1f%% during it, %.1f%% at the end; %s\n%v",
		o.MaxLoads, o.Peak, 100*o.Calm, 100*o.Fault, 100*o.Last, recovered, o.Curve)
}
