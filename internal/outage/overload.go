//go:build !windows

package outage

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// An overload: the values are in Redis, the local tier has room for few, and Redis is killed. The source serves a number of calls
// at a time; it takes the longer the more there are, and doesn't notice that nobody waits for a call any more. Callers come at a
// constant rate, whatever became of those before, and have little patience.

const (
	overloadKeys = 1000
	overloadRate = 2000                   // calls a second
	capacity     = 16                     // calls that the source serves at a time
	serviceTime  = 10 * time.Millisecond  // of a call, if there are no more than that
	worstTime    = 2 * time.Second        // of a call, if there are many more
	callerTime   = 500 * time.Millisecond // how long a caller waits
	binTime      = 250 * time.Millisecond // of the curve
	afterwards   = 4 * time.Second        // how long the run goes on when Redis is back
)

// fragileSource becomes slower when it gets more calls than it can serve.
type fragileSource struct {
	running, peak atomic.Int64
}

// call makes one call. It does not end with a context.
func (s *fragileSource) call() {
	n := s.running.Add(1)
	defer s.running.Add(-1)
	for p := s.peak.Load(); n > p && !s.peak.CompareAndSwap(p, n); p = s.peak.Load() {
	}
	over := float64(max(n, capacity)) / capacity
	pause(context.Background(), min(worstTime, time.Duration(over*over*float64(serviceTime))))
}

// Overload is the result of an overload.
type Overload struct {
	MaxLoads  int
	Peak      int           // the most calls of the source at a time
	Calm      float64       // the share of calls that were answered before the fault,
	Fault     float64       // during it,
	Last      float64       // and in the last second
	Recovered time.Duration // from the restart of Redis until 99% of the calls were answered; 0: never
	Curve     []Bin
}

// Bin is a part of the curve.
type Bin struct {
	Start           time.Duration
	Calls, Answered int
}

// share returns the share of calls that were answered.
func share(bins []Bin) float64 {
	var sum Bin
	for _, b := range bins {
		sum.Calls, sum.Answered = sum.Calls+b.Calls, sum.Answered+b.Answered
	}
	return float64(sum.Answered) / float64(max(1, sum.Calls))
}

// overloadRun is one run of an overload.
type overloadRun struct {
	clock  clock
	cache  *tiered.Cache[Value]
	source fragileSource

	mu   sync.Mutex
	bins []Bin
}

// RunOverload runs an overload with that limit of loads.
func RunOverload(t testing.TB, maxLoads int, o Options) *Overload {
	t.Helper()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	defer client.Close()
	quiet := slog.New(slog.DiscardHandler)
	tier, err := tiered.NewRedis(client, tiered.RedisOptions{Prefix: prefix, Timeout: timeout, Heartbeat: heartbeat, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer tier.Close()
	cache, err := tiered.New(tiered.Options[Value]{
		Name: "overload", Redis: tier, MaxCost: overloadKeys / 20, MaxLoads: maxLoads, Logger: quiet,
		Policy: tiered.Policy{TTL: ages, LoadTimeout: loadTimeout},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	r := &overloadRun{cache: cache}
	values := make(map[string]Value)
	for i := range overloadKeys {
		values[fixedKey(i)] = Value{Key: fixedKey(i)}
	}
	if err := cache.SetMany(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	r.clock = clock{time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { r.arrive(ctx, rand.New(rand.NewPCG(o.Seed, 0))) })
	pause(ctx, o.calm())
	fault := span{start: r.clock.now()}
	server.Kill()
	pause(ctx, o.Time)
	server.Restart()
	fault.end = r.clock.now()
	pause(ctx, afterwards)
	cancel()
	all.Wait()
	if !await(patience, func() bool { return r.source.running.Load() == 0 && cache.Stats().LoadsRunning == 0 }) {
		t.Errorf("outage: %+v", cache.Stats())
	}
	return r.result(maxLoads, fault)
}

// arrive makes calls at a constant rate until ctx ends, and waits for them.
func (r *overloadRun) arrive(ctx context.Context, rng *rand.Rand) {
	var all sync.WaitGroup
	defer all.Wait()
	for made := 0; ctx.Err() == nil; pause(ctx, 2*time.Millisecond) {
		for ; made < int(r.clock.now().Seconds()*overloadRate); made++ {
			key := fixedKey(rng.IntN(overloadKeys))
			all.Go(func() { r.call(key) })
		}
	}
}

// call makes a call, and records whether it was answered.
func (r *overloadRun) call(key string) {
	ctx, cancel := context.WithTimeout(context.Background(), callerTime)
	defer cancel()
	bin := int(r.clock.now() / binTime) // of its begin
	v, err := r.cache.GetOrLoad(ctx, key, func(context.Context, *tiered.Entry[Value]) (Value, error) {
		r.source.call()
		return Value{Key: key}, nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.bins) <= bin {
		r.bins = append(r.bins, Bin{Start: time.Duration(len(r.bins)) * binTime})
	}
	r.bins[bin].Calls++
	if err == nil && v.Key == key {
		r.bins[bin].Answered++
	}
}

// result returns the result of the run.
func (r *overloadRun) result(maxLoads int, fault span) *Overload {
	first, last := int((fault.start+binTime-1)/binTime), int(fault.end/binTime)
	n := len(r.bins)
	res := &Overload{
		MaxLoads: maxLoads, Peak: int(r.source.peak.Load()), Curve: r.bins,
		Calm: share(r.bins[:first-1]), Fault: share(r.bins[first:last]), Last: share(r.bins[n-int(time.Second/binTime):]),
	}
	for i := n; i > last && share(r.bins[i-1:i]) >= 0.99; i-- {
		res.Recovered = max(r.bins[i-1].Start-fault.end, time.Millisecond)
	}
	return res
}

// String returns the numbers and the curve.
func (o *Overload) String() string {
	var b strings.Builder
	recovered := "it didn't recover"
	if o.Recovered > 0 {
		recovered = fmt.Sprintf("recovered in %v", o.Recovered.Round(10*time.Millisecond))
	}
	fmt.Fprintf(&b, "MaxLoads %d: up to %d calls of the source at a time; answered %.1f%% before the fault, %.1f%% during it, %.1f%% at the end; %s\n",
		o.MaxLoads, o.Peak, 100*o.Calm, 100*o.Fault, 100*o.Last, recovered)
	b.WriteString("answered each quarter second, in %:")
	for i := range o.Curve {
		fmt.Fprintf(&b, " %.0f", 100*share(o.Curve[i:i+1]))
	}
	return b.String()
}
