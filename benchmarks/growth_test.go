package benchmarks_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// A scale says how much there is of each thing that costs may grow with.
type scale struct {
	keys       int
	goroutines int
	bytes      int // of a value
	caches     int // on one *tiered.Redis, which share the keys
}

// middle has the values of all things but the one that grows.
var middle = scale{keys: 10_000, goroutines: 16, bytes: 100, caches: 1}

// axes are the things that grow, one at a time. Values are []byte under codec.Raw, so that the cost of a codec doesn't
// hide the cache's.
var axes = []struct {
	name  string
	steps []int
	at    func(n int) scale
	costs []cost
}{
	{
		"keys", []int{10_000, 100_000, 1_000_000, 10_000_000},
		func(n int) scale { s := middle; s.keys = n; return s },
		[]cost{{"local-hit", localHit}},
	},
	{
		"goroutines", []int{1, 4, 16, 64, 256, 1024},
		func(n int) scale { s := middle; s.goroutines = n; return s },
		[]cost{{"local-hit", localHit}, {"Redis-hit", redisHit}},
	},
	{
		"bytes", []int{100, 1_000, 10_000, 100_000, 1_000_000},
		func(n int) scale { s := middle; s.bytes, s.keys = n, min(s.keys, budget/n); return s },
		[]cost{{"local-hit", localHit}, {"Redis-hit", redisHit}, {"set", set}},
	},
	{
		"caches", []int{1, 4, 16, 64},
		func(n int) scale { s := middle; s.caches = n; return s },
		[]cost{{"Redis-hit", redisHit}, {"miss", miss}, {"drop", drop}},
	},
}

// budget limits the bytes of all values together where the size of values grows: there are fewer large ones.
const budget = 128_000_000

// cost is something that is measured.
type cost struct {
	name    string
	measure func(b *testing.B, s scale)
}

// BenchmarkGrowth measures how each cost grows, beside its floor: the cost of the same with ristretto or go-redis alone.
// The program in plot draws it.
func BenchmarkGrowth(b *testing.B) {
	for _, axis := range axes {
		for _, n := range axis.steps {
			for _, c := range axis.costs {
				b.Run(fmt.Sprintf("axis=%s/n=%d/cost=%s", axis.name, n, c.name), func(b *testing.B) {
					c.measure(b, axis.at(n))
				})
			}
		}
	}
}

// spread calls do b.N times from several goroutines, each of which does its share, beginning at a place of its own.
func spread(b *testing.B, goroutines int, do way) {
	ctx := b.Context()
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for g := range goroutines {
		share := b.N / goroutines
		if g < b.N%goroutines {
			share++
		}
		all.Go(func() {
			for i := range share {
				if err := do(ctx, g*7919+i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
}

// queue is spread with one counter for all goroutines, so that no two use the same key at once.
func queue(b *testing.B, goroutines int, next *atomic.Int64, do way) {
	spread(b, goroutines, func(ctx context.Context, _ int) error { return do(ctx, int(next.Add(1))) })
}

// way does something for the i-th time.
type way func(ctx context.Context, i int) error

func numberedKey(i int) string { return "key:" + strconv.Itoa(i) }

// sample returns the names of n keys, or of a million of them if there are more, in random order. The names are in memory
// in the order in which they are read, so that only the cache's own accesses miss the processor's cache.
func sample(n int) []string {
	const most = 1_000_000
	size := min(n, most)
	keys := make([]string, size)
	for i, at := range rand.New(rand.NewPCG(1, 2)).Perm(size) {
		keys[i] = numberedKey(at * (n / size))
	}
	return keys
}

func wantBytes(value []byte, n int) error {
	if len(value) != n {
		return fmt.Errorf("got %d bytes: want %d", len(value), n)
	}
	return nil
}
