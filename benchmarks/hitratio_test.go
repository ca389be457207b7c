package benchmarks_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var hitRatioPeers = []peer{
	{"ristretto", openRistretto, false},
	{"ristretto-wait", openRistrettoWaiting, false},
	{"otter", openOtter, false},
	{"tiercache", openTiercache, false},
}

const (
	zipfKeys   = 1_000_000
	zipfWarmup = 1_500_000 // reads that fill the caches and their counters
	zipfReads  = 500_000   // reads that are counted
)

// BenchmarkHitRatio replays reads of a million users, some of which are read far more often than others, through caches
// with room for a hundredth or a tenth of them. An operation is a read. All peers get the same reads in
// the same order, from one goroutine that doesn't pause.
func BenchmarkHitRatio(b *testing.B) {
	keys := make([]string, zipfKeys)
	for id := range keys {
		keys[id] = userKey(id)
	}
	for _, s := range []float64{0.90, 0.99} {
		trace := zipf(s, zipfWarmup+zipfReads)
		for _, percent := range []int{1, 10} {
			for _, p := range hitRatioPeers {
				b.Run(fmt.Sprintf("s=%.2f/capacity=%d%%/impl=%s", s, percent, p.name), func(b *testing.B) {
					replay(b, p, zipfKeys*percent/100, keys, trace)
				})
			}
		}
	}
}

// replay opens a new cache for each round, since an old one would be warmer than the first.
func replay(b *testing.B, p peer, capacity int, keys []string, trace []int32) {
	ctx, hits, rounds := context.Background(), 0.0, 0
	for b.Loop() {
		b.StopTimer()
		set := setting{source: new(source), capacity: capacity}
		r := p.open(b, set)
		read := func(ids []int32) {
			for _, id := range ids {
				if _, err := r.read(ctx, keys[id]); err != nil {
					b.Fatal(err)
				}
			}
		}
		read(trace[:zipfWarmup])
		before := set.source.loads.Load()
		b.StartTimer()
		read(trace[zipfWarmup:])
		b.StopTimer()
		hits += 1 - float64(set.source.loads.Load()-before)/zipfReads
		rounds++
		b.StartTimer()
	}
	b.ReportMetric(100*hits/float64(rounds), "hit%")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rounds)/zipfReads, "ns/read")
}

// zipf draws users, the one at i with a probability that is proportional to 1/(i+1)^s. (rand.Zipf requires s > 1.)
func zipf(s float64, n int) []int32 {
	rnd := rand.New(rand.NewPCG(1, 2))
	upTo, sum := make([]float64, zipfKeys), 0.0
	for i := range upTo {
		sum += math.Pow(float64(i+1), -s)
		upTo[i] = sum
	}
	drawn := make([]int32, n)
	for i := range drawn {
		id, _ := slices.BinarySearch(upTo, rnd.Float64()*sum)
		drawn[i] = int32(id)
	}
	return drawn
}
