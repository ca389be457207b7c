package benchmarks_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// localPeers keep values in the process's memory. DoCache isn't among them, since it only caches values from Redis.
var localPeers = []peer{
	{"ristretto", openRistretto, false},
	{"otter", openOtter, false},
	{"sturdyc", openSturdyc, false},
	{"go-redis-cache", openGoRedisCache, false},
	{"rueidis-DoCache", openDoCache, true},
	{"tiercache", openTiercache, false},
}

const population = 10_000 // users

// shuffledKeys returns the keys of all users in random order.
func shuffledKeys() []string {
	keys := make([]string, population)
	for i, id := range rand.New(rand.NewPCG(1, 2)).Perm(population) {
		keys[i] = userKey(id)
	}
	return keys
}

// warm reads until nothing has to be loaded any more: some peers store a new value later, or reject it at first.
func warm(t testing.TB, s *source, keys []string, r reader) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		before := s.loads.Load()
		for _, key := range keys {
			if u, err := r.read(t.Context(), key); err != nil || userKey(u.ID) != key {
				t.Fatalf("%s: got %+v, %v", key, u, err)
			}
		}
		if s.loads.Load() == before {
			return
		}
	}
	t.Fatalf("users are still loaded, %d so far: want them all cached", s.loads.Load())
}

// BenchmarkLocalHit reads users that are in the process's memory: 64 of them or all 10,000.
func BenchmarkLocalHit(b *testing.B) {
	keys := shuffledKeys()
	client := redistest.Start(b).Client(b)
	warmed := openWarm(b, localPeers, setting{capacity: 10 * population, client: client}, keys)
	for _, order := range []struct {
		name string
		keys []string
	}{{"hot64", keys[:64]}, {"uniform10k", keys}} {
		for _, mode := range []struct {
			name string
			run  func(*testing.B, reader, []string)
		}{{"serial", serial}, {"parallel", parallel}} {
			for _, w := range warmed {
				b.Run("keys="+order.name+"/mode="+mode.name+"/impl="+w.name, func(b *testing.B) {
					w.onlyHits(b, func() { mode.run(b, w, order.keys) })
				})
			}
		}
	}
}

// warmPeer is a peer that has cached all users that will be read.
type warmPeer struct {
	reader
	name   string
	source *source
}

// openWarm opens all peers before any is measured, so that the heap has the same size for all.
func openWarm(b *testing.B, peers []peer, set setting, keys []string) []warmPeer {
	b.Helper()
	all := make([]warmPeer, len(peers))
	for i, p := range peers {
		own := set.of(p, new(source))
		all[i] = warmPeer{reader: p.open(b, own), name: p.name, source: own.source}
		warm(b, own.source, keys, all[i])
	}
	return all
}

// onlyHits fails the benchmark if f caused a load.
func (w warmPeer) onlyHits(b *testing.B, f func()) {
	b.Helper()
	before := w.source.loads.Load()
	f()
	if n := w.source.loads.Load() - before; n > 0 {
		b.Errorf("%d of %d reads were misses", n, b.N)
	}
}

func serial(b *testing.B, r reader, keys []string) {
	ctx := context.Background()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := r.read(ctx, keys[i]); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(keys) {
			i = 0
		}
	}
}

// parallel lets each goroutine read all keys, beginning at a place of its own.
func parallel(b *testing.B, r reader, keys []string) {
	ctx := context.Background()
	var walkers atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i := int(walkers.Add(1)) * 7919 % len(keys)
		for pb.Next() {
			if _, err := r.read(ctx, keys[i]); err != nil {
				b.Error(err)
				return
			}
			if i++; i == len(keys) {
				i = 0
			}
		}
	})
}
