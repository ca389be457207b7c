package benchmarks_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// stampedePeers are set up with Redis or without, since storing a value there takes time. DoCache isn't among them, since its
// callers don't share loads.
var stampedePeers = []peer{
	{"singleflight", openSingleflight, false},
	{"otter", openOtter, false},
	{"sturdyc", openSturdyc, false},
	{"tiercache-local", openTiercache, false},
	{"go-redis-cache", openGoRedisCache, true},
	{"rueidis-DoCache", openDoCache, true},
	{"tiercache", openTiercache, true},
}

// BenchmarkStampede has 1,000 or 10,000 callers ask for one key that no cache has, from a source that takes 10 ms. An operation ends
// when all callers have the value; loads/op is the number of loads.
func BenchmarkStampede(b *testing.B) {
	client := redistest.Start(b).Client(b)
	cold := 0
	for _, callers := range []int{1_000, 10_000} {
		for _, p := range stampedePeers {
			set := setting{capacity: population, client: client}.of(p, &source{delay: 10 * time.Millisecond})
			r := p.open(b, set)
			b.Run(fmt.Sprintf("callers=%d/impl=%s", callers, p.name), func(b *testing.B) {
				before, n := set.source.loads.Load(), 0
				b.ReportAllocs()
				for b.Loop() {
					cold++
					n++
					stampede(b, r, userKey(cold), callers)
				}
				b.ReportMetric(float64(set.source.loads.Load()-before)/float64(n), "loads/op")
			})
		}
	}
}

func stampede(b *testing.B, r reader, key string, callers int) {
	ctx := b.Context()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			if u, err := r.read(ctx, key); err != nil || userKey(u.ID) != key {
				b.Errorf("%s: got %+v, %v", key, u, err)
			}
		})
	}
	all.Wait()
}
