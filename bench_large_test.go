package tiercache_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// BenchmarkRedisLarge reads large values that only Redis has: bytes under codec.Raw, and users under codec.JSON. The floor is a GET, and
// for users the codec's Unmarshal: bytes are used as they come.
func BenchmarkRedisLarge(b *testing.B) {
	client := redistest.Start(b).Client(b)
	for _, size := range []int{10_000, 100_000, 1_000_000} {
		largeHits(b, client, size, largeCodec[[]byte]{
			codec: codec.Raw,
			value: make([]byte, size),
			bare:  func(data []byte) ([]byte, error) { return data, nil },
			size:  func(v []byte) int { return len(v) },
		})
		users := make([]*user, size/170)
		for id := range users {
			users[id] = newUser(id)
		}
		largeHits(b, client, size, largeCodec[[]*user]{
			codec: codec.JSON,
			value: users,
			bare: func(data []byte) (us []*user, err error) {
				err = codec.JSON.Unmarshal(data, &us)
				return us, err
			},
			size: func(us []*user) int { return len(us) },
		})
	}
}

// largeCodec is a codec with a large value.
type largeCodec[T any] struct {
	codec codec.Codec
	value T
	bare  func([]byte) (T, error) // decodes what a GET returned
	size  func(T) int
}

func largeHits[T any](b *testing.B, client *redis.Client, size int, l largeCodec[T]) {
	ctx := b.Context()
	cache := newCache(b, tiered.Options[T]{
		Name:   "large-" + l.codec.Name() + "-" + strconv.Itoa(size),
		Redis:  newRedis(b, client),
		Codec:  l.codec,
		Policy: tiered.Policy{LocalTTL: briefly},
	})
	keys := userKeys[:min(population, 100_000_000/size)]
	data, err := l.codec.Marshal(l.value)
	if err != nil {
		b.Fatal(err)
	}
	bareKey := func(key string) string { return "go:" + l.codec.Name() + ":" + strconv.Itoa(size) + ":" + key }
	for _, key := range keys {
		if err := cache.Set(ctx, key, l.value); err != nil {
			b.Fatal(err)
		}
		if err := client.Set(ctx, bareKey(key), data, time.Hour).Err(); err != nil {
			b.Fatal(err)
		}
	}
	load := func(context.Context, *tiered.Entry[T]) (v T, err error) { return v, errMissing }
	get := func(key string) (v T, err error) {
		data, err := client.Get(ctx, bareKey(key)).Bytes()
		if err != nil {
			return v, err
		}
		return l.bare(data)
	}
	impls := []struct {
		name string
		read func(key string) (T, error)
	}{
		{"go-redis", get},
		{"tiercache", func(key string) (T, error) { return cache.GetOrLoad(ctx, key, load) }},
	}
	for _, n := range []int{1, 16} {
		for _, impl := range impls {
			b.Run(fmt.Sprintf("codec=%s/bytes=%d/callers=%d/impl=%s", l.codec.Name(), size, n, impl.name), func(b *testing.B) {
				var next atomic.Int64
				before := cache.Stats().RemoteHits
				readOne := func() error {
					v, err := impl.read(keys[int(next.Add(1))%len(keys)])
					if err == nil && l.size(v) != l.size(l.value) {
						err = fmt.Errorf("got a value of length %d: want %d", l.size(v), l.size(l.value))
					}
					return err
				}
				b.ReportAllocs()
				if n == 1 {
					for b.Loop() {
						if err := readOne(); err != nil {
							b.Fatal(err)
						}
					}
				} else {
					callers(b, n)
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if err := readOne(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				if hits := cache.Stats().RemoteHits - before; impl.name == "tiercache" && hits*100 < uint64(b.N)*99 {
					b.Errorf("%d of %d reads were hits in Redis", hits, b.N)
				}
			})
		}
	}
}
