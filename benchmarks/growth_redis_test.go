package benchmarks_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// group has a scale's caches on one *tiered.Redis, and the client that they use, which is the floor. The k-th key is in cache
// k modulo their number.
type group struct {
	scale
	client *redis.Client
	caches []*tiered.Cache[[]byte]
	keys   []string
	next   atomic.Int64 // the next key to read, across runs
}

const briefly = time.Millisecond // shorter than the time until a key is read again

// openGroup opens caches with the given LocalTTL.
func openGroup(b *testing.B, s scale, localTTL time.Duration) *group {
	b.Helper()
	client := redistest.Start(b).Client(b)
	second := openSecond(b, client)
	g := &group{scale: s, client: client, keys: sample(s.keys)}
	for i := range s.caches {
		g.caches = append(g.caches, openOn(b, second, "growth"+strconv.Itoa(i), localTTL))
	}
	return g
}

// openSecond sets a long timeout, so that a busy machine isn't mistaken for a slow Redis.
func openSecond(b *testing.B, client *redis.Client) *tiered.Redis {
	b.Helper()
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Timeout: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	closeWith(b, r.Close)
	return r
}

func openOn(b *testing.B, second *tiered.Redis, name string, localTTL time.Duration) *tiered.Cache[[]byte] {
	b.Helper()
	c, err := tiered.New(tiered.Options[[]byte]{
		Name:   name,
		Redis:  second,
		Codec:  codec.Raw,
		Policy: tiered.Policy{TTL: keep, LocalTTL: localTTL},
	})
	if err != nil {
		b.Fatal(err)
	}
	closeWith(b, c.Close)
	return c
}

// pick returns the i-th key to read, and its cache.
func (g *group) pick(i int) (*tiered.Cache[[]byte], string) {
	k := i % len(g.keys)
	return g.caches[k%len(g.caches)], g.keys[k]
}

func bareKey(key string) string { return "bare:growth:" + key } // as long as the caches' own

// fill stores the values in Redis, under the keys of the caches and of the floor.
func (g *group) fill(b *testing.B) {
	b.Helper()
	ctx, value := b.Context(), make([]byte, g.bytes)
	for i := range g.keys {
		cache, key := g.pick(i)
		if err := cache.Set(ctx, key, value); err != nil {
			b.Fatal(err)
		}
		if err := g.client.Set(ctx, bareKey(key), value, keep).Err(); err != nil {
			b.Fatal(err)
		}
	}
}

// compare measures go-redis and the caches, and fails unless the caches' counter, if there is one, is b.N. It allows for one
// in a hundred, since a goroutine may be delayed until its key is read again.
func (g *group) compare(b *testing.B, bare, ours way, counter func(tiered.Stats) uint64) {
	b.Helper()
	b.Run("impl=go-redis", func(b *testing.B) { queue(b, g.goroutines, &g.next, bare) })
	b.Run("impl=tiercache", func(b *testing.B) {
		before := g.total(counter)
		queue(b, g.goroutines, &g.next, ours)
		if n := g.total(counter) - before; counter != nil && n*100 < uint64(b.N)*99 {
			b.Errorf("%d of %d reads came from the expected tier", n, b.N)
		}
	})
}

func (g *group) total(of func(tiered.Stats) uint64) (sum uint64) {
	if of == nil {
		return 0
	}
	for _, c := range g.caches {
		sum += of(c.Stats())
	}
	return sum
}

// redisHit reads keys that only Redis has, and stores them in the local tier. The floor is GET.
func redisHit(b *testing.B, s scale) {
	g := openGroup(b, s, briefly)
	g.fill(b)
	get := func(ctx context.Context, i int) error {
		_, key := g.pick(i)
		value, err := g.client.Get(ctx, bareKey(key)).Bytes()
		if err != nil {
			return err
		}
		return wantBytes(value, s.bytes)
	}
	read := func(ctx context.Context, i int) error {
		cache, key := g.pick(i)
		value, err := cache.GetOrLoad(ctx, key, notLoaded)
		if err != nil {
			return err
		}
		return wantBytes(value, s.bytes)
	}
	g.compare(b, get, read, func(s tiered.Stats) uint64 { return s.RemoteHits })
}

// set replaces values in Redis and in the local tier. The floor is SET.
func set(b *testing.B, s scale) {
	g := openGroup(b, s, keep)
	value := make([]byte, s.bytes)
	bare := func(ctx context.Context, i int) error {
		_, key := g.pick(i)
		return g.client.Set(ctx, bareKey(key), value, keep).Err()
	}
	write := func(ctx context.Context, i int) error {
		cache, key := g.pick(i)
		return cache.Set(ctx, key, value)
	}
	g.compare(b, bare, write, nil)
}

// miss reads missing keys, loads them from a source that takes no time, and stores them. The floor is GET and SET.
func miss(b *testing.B, s scale) {
	g := openGroup(b, s, keep)
	value := make([]byte, s.bytes)
	var names atomic.Int64 // so that every run has new keys
	fresh := func() string { return "fresh:" + strconv.FormatInt(names.Add(1), 10) }
	bare := func(ctx context.Context, _ int) error {
		key := bareKey(fresh())
		if err := g.client.Get(ctx, key).Err(); err != redis.Nil {
			return err
		}
		return g.client.Set(ctx, key, value, keep).Err()
	}
	load := func(context.Context, *tiered.Entry[[]byte]) ([]byte, error) { return value, nil }
	read := func(ctx context.Context, i int) error {
		cache, _ := g.pick(i)
		_, err := cache.GetOrLoad(ctx, fresh(), load)
		return err
	}
	g.compare(b, bare, read, func(s tiered.Stats) uint64 { return s.Loads })
}
