package benchmarks_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
)

var redisPeers = []peer{
	{"go-redis", openGoRedis, true},
	{"go-redis-cache", openGoRedisCache, true},
	{"rueidis", openRueidis, true},
	{"rueidis-DoCache", openDoCache, true},
	{"tiercache", openTiercache, true},
}

// BenchmarkRedisHit reads users that only Redis has: the peers have no local tier, or its entries have expired.
func BenchmarkRedisHit(b *testing.B) {
	server := redistest.Start(b)
	keys := shuffledKeys()
	warmed := openWarm(b, redisPeers, setting{client: server.Client(b)}, keys)
	for _, callers := range []int{1, 64, 512} {
		for _, w := range warmed {
			b.Run(fmt.Sprintf("callers=%d/impl=%s", callers, w.name), func(b *testing.B) {
				before := redisHits(b, server)
				w.onlyHits(b, func() { together(b, w, keys, callers) })
				if n := redisHits(b, server) - before; n < b.N {
					b.Errorf("%d reads were %d hits in Redis", b.N, n)
				}
			})
		}
	}
}

// manyReader reads users at once.
type manyReader interface {
	readMany(ctx context.Context, keys []string) (map[string]*user, error)
}

// BenchmarkRedisMany reads 100 users at once that only Redis has.
func BenchmarkRedisMany(b *testing.B) {
	const size = 100
	server := redistest.Start(b)
	keys := shuffledKeys()
	for _, w := range openWarm(b, redisPeers, setting{client: server.Client(b)}, keys) {
		b.Run(fmt.Sprintf("keys=%d/impl=%s", size, w.name), func(b *testing.B) {
			ctx := b.Context()
			before, at, n := redisHits(b, server), 0, 0
			b.ReportAllocs()
			w.onlyHits(b, func() {
				for b.Loop() {
					batch := keys[at : at+size]
					us, err := w.reader.(manyReader).readMany(ctx, batch)
					if err != nil || len(us) != size || userKey(us[batch[0]].ID) != batch[0] {
						b.Fatalf("got %d users, %v", len(us), err)
					}
					at = (at + size) % len(keys)
					n += size
				}
			})
			if hits := redisHits(b, server) - before; hits < n {
				b.Errorf("%d reads were %d hits in Redis", n, hits)
			}
		})
	}
}

// together shares one sequence of keys among all goroutines, so that no two read the same key at once.
func together(b *testing.B, r reader, keys []string, callers int) {
	if callers == 1 {
		serial(b, r, keys)
		return
	}
	ctx := context.Background()
	var next atomic.Int64
	b.ReportAllocs()
	b.SetParallelism((callers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.read(ctx, keys[int(next.Add(1))%len(keys)]); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
}

// redisHits returns the server's own count of hits.
func redisHits(t testing.TB, s *redistest.Server) int {
	t.Helper()
	n := s.Number("stats", "keyspace_hits")
	if n < 0 {
		t.Fatal("INFO has no keyspace_hits")
	}
	return n
}
