//go:build !windows

package outage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// A cold start: a process begins with an empty local tier while callers come at their full rate, some keys far more often than others.
// Redis has all values, or it was flushed. The local tier has room for all.

const coldKeys = 20_000

// ColdStart is the result of a cold start.
type ColdStart struct {
	Peak      int           // the most calls of the source at a time
	Loads     uint64        // all of them
	Recovered time.Duration // from the start until 99% of the calls were answered; 0: never
	Curve     Curve
}

// RunColdStart runs a cold start with that limit of loads. The source serves 16 calls at a time, in 10 milliseconds each.
func RunColdStart(t testing.TB, flushed bool, maxLoads int, o Options) *ColdStart {
	t.Helper()
	server := redistest.Start(t)
	fill(t, server, numbered(coldKeys))
	if flushed {
		server.Do("FLUSHALL")
	}
	c, end := connect(t, server, timeout, cacheOptions(2*coldKeys, maxLoads))
	defer end()
	return coldStart(t, c, 10*time.Millisecond, o)
}

// ColdStartAlone is RunColdStart for a cache without Redis. It may be called in a bubble of testing/synctest.
func ColdStartAlone(t testing.TB, serviceTime time.Duration, maxLoads int, o Options) *ColdStart {
	t.Helper()
	c, err := tiered.New(cacheOptions(2*coldKeys, maxLoads))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return coldStart(t, c, serviceTime, o)
}

// coldStart makes calls of a cache whose local tier is empty.
func coldStart(t testing.TB, c *tiered.Cache[Value], serviceTime time.Duration, o Options) *ColdStart {
	t.Helper()
	keys, zipf := numbered(coldKeys), rand.NewZipf(rand.New(rand.NewPCG(o.Seed, 0)), 1.1, 1, coldKeys-1)
	a := &arrivals{
		cache: c, source: fragileSource{capacity: 16, serviceTime: serviceTime},
		next: func() string { return keys[zipf.Uint64()] },
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.cold())
	defer cancel()
	curve := a.run(ctx, t)
	s := &ColdStart{Peak: int(a.source.peak.Load()), Loads: c.Stats().Loads, Curve: curve}
	if from, ok := curve.recovered(); ok {
		s.Recovered = max(from, time.Millisecond)
	}
	return s
}

// String returns the numbers and the curve.
func (s *ColdStart) String() string {
	recovered := "never 99%"
	if s.Recovered > 0 {
		recovered = fmt.Sprintf("99%% after %v", s.Recovered)
	}
	return fmt.Sprintf("%d loads, up to %d calls of the source at a time; answered %.1f%%, %s\n%v",
		s.Loads, s.Peak, 100*s.Curve.Share(), recovered, s.Curve)
}
