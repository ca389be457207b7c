package benchmarks_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// stampedePeers say which tiers they are set up with: to store a value in Redis takes its time.
var stampedePeers = []struct {
	peer
	inRedis bool
}{
	{peer{"singleflight", openSingleflight}, false},
	{peer{"otter", openOtter}, false},
	{peer{"sturdyc", openSturdyc}, false},
	{peer{"tiercache-local", openTiercache}, false},
	{peer{"go-redis-cache", openGoRedisCache}, true},
	{peer{"tiercache", openTiercache}, true},
}

// BenchmarkStampede has 1,000 callers ask for one key that no cache has, from a source that takes 10 ms. An operation is
// over when all have their answer; loads/op is how often the source was asked for it.
func BenchmarkStampede(b *testing.B) {
	const callers = 1_000
	server := redistest.Start(b)
	for _, p := range stampedePeers {
		set := setting{source: &source{delay: 10 * time.Millisecond}, capacity: population}
		if p.inRedis {
			set.client = server.Client(b)
		}
		r := p.open(b, set)
		cold := 0
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
