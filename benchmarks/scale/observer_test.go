package scale_test

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// observer is one more process.
type observer interface {
	// keep makes sure that the local tier has the value of the probe's key. Until then it has had no other report of the key than those
	// that dropped returned.
	keep(t testing.TB)
	// dropped returns when the local tier no longer had it, after it was changed.
	dropped(t testing.TB) time.Time
	// miss reads a key that is nowhere, loads it and stores it.
	miss(t testing.TB, key string)
	// stored is what a program that changes the probe's key stores there for the n-th time.
	stored(n int) string
}

// probe is the key that observers have in their local tier.
const probe = "probe"

// bare is a connection like those of the other processes.
type bare struct {
	*stage
	*listener
	key     string
	reports chan time.Time
}

func observeBare(t testing.TB, s *stage) observer {
	t.Helper()
	s.change(t, value)
	b := &bare{stage: s, key: s.names.key(0, probe), reports: make(chan time.Time, 1)}
	b.listener = s.listen(t, s.trackers, func(key string, at time.Time) {
		if key == b.key {
			b.reports <- at
		}
	})
	return b
}

func (b *bare) keep(t testing.TB) {
	if b.read != nil {
		b.send(t, b.read(b.key))
	}
	b.ping(t)
	b.awaitPong(t)
}

func (b *bare) dropped(t testing.TB) time.Time {
	t.Helper()
	select {
	case at := <-b.reports:
		return at
	case <-time.After(patience):
		t.Fatal("no report")
		return time.Time{}
	}
}

// miss is a lease and the value that takes its place, as with the caches.
func (b *bare) miss(t testing.TB, key string) {
	t.Helper()
	key = b.names.key(0, key)
	for _, commands := range [][]byte{command("SET", key, "lease", "NX", "PX", "5000"), command("SET", key, value)} {
		if err := b.asker.ask(commands, 1); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bare) stored(int) string { return value }

// library is a cache of tiercache.
type library struct {
	cache *tiered.Cache[[]byte]
	ears  redistest.Tap
	key   string
	frame string // a valid value
}

func observeTracking(t testing.TB, s *stage) observer { return observeLibrary(t, s, tiered.Tracking) }

func observeTrackingKeys(t testing.TB, s *stage) observer {
	return observeLibrary(t, s, tiered.TrackingKeys)
}

func observePubSub(t testing.TB, s *stage) observer { return observeLibrary(t, s, tiered.PubSub) }

func observeLibrary(t testing.TB, s *stage, mode tiered.Invalidation) observer {
	t.Helper()
	l := &library{key: s.names.key(0, probe)}
	if err := openCache(t, s, s.server.Client(t), tiered.None).Set(t.Context(), probe, []byte(value)); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.frame, err = s.client.Get(t.Context(), l.key).Result(); err != nil {
		t.Fatal(err)
	}
	l.cache = openCache(t, s, l.ears.Client(t, s.server), mode)
	return l
}

// openCache sets a long timeout, so that a busy machine isn't mistaken for a slow Redis.
func openCache(t testing.TB, s *stage, client *redis.Client, mode tiered.Invalidation) *tiered.Cache[[]byte] {
	t.Helper()
	second, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: mode, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, second.Close)
	cache, err := tiered.New(tiered.Options[[]byte]{
		Name: s.names.of(0), Redis: second, Codec: codec.Raw, MaxCost: 1000, Policy: tiered.Policy{TTL: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, cache.Close)
	return cache
}

func (l *library) keep(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		e, err := l.cache.Lookup(t.Context(), probe)
		if err != nil {
			t.Fatal(err)
		}
		if e.Tier == tiered.Local {
			l.ears.Expect(l.key)
			return
		}
	}
	t.Fatal("the local tier doesn't keep the key")
}

func (l *library) dropped(t testing.TB) time.Time {
	t.Helper()
	return l.ears.Await(t).Handled
}

func (l *library) miss(t testing.TB, key string) {
	t.Helper()
	load := func(context.Context, *tiered.Entry[[]byte]) ([]byte, error) { return []byte(value), nil }
	if _, err := l.cache.GetOrLoad(t.Context(), key, load); err != nil {
		t.Fatal(err)
	}
}

func (l *library) stored(int) string { return l.frame }

// rueidisCache is the client-side cache of rueidis.
type rueidisCache struct {
	client rueidis.Client
	ears   redistest.Tap
	prefix string
}

func observeRueidis(t testing.TB, s *stage) observer {
	t.Helper()
	s.change(t, value)
	r := &rueidisCache{prefix: s.names.key(0, "")}
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress:      []string{s.server.Addr()},
		ConnWriteTimeout: patience,
		DialCtxFn: func(ctx context.Context, addr string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return r.ears.Conn(conn), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	r.client = client
	return r
}

func (r *rueidisCache) read(t testing.TB, key string) rueidis.RedisResult {
	return r.client.DoCache(t.Context(), r.client.B().Get().Key(r.prefix+key).Cache(), time.Hour)
}

func (r *rueidisCache) keep(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if r.read(t, probe).IsCacheHit() {
			r.ears.Expect(r.prefix + probe)
			return
		}
	}
	t.Fatal("the client doesn't keep the key")
}

func (r *rueidisCache) dropped(t testing.TB) time.Time {
	t.Helper()
	at := r.ears.Await(t).Handled
	if r.read(t, probe).IsCacheHit() {
		t.Fatal("the client still has the key")
	}
	return at
}

func (r *rueidisCache) miss(t testing.TB, key string) {
	t.Helper()
	if err := r.read(t, key).Error(); !rueidis.IsRedisNil(err) {
		t.Fatalf("got %v: want a miss", err)
	}
	if err := r.client.Do(t.Context(), r.client.B().Set().Key(r.prefix+key).Value(value).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

func (r *rueidisCache) stored(int) string { return value }

// goRedisCache is the client-side cache of go-redis, which reads reports between other work.
type goRedisCache struct {
	client *redis.Client
	prefix string
	kept   string
}

func observeGoRedis(t testing.TB, s *stage) observer {
	t.Helper()
	s.change(t, value)
	client := redis.NewClient(&redis.Options{
		Addr: s.server.Addr(), Protocol: 3, ReadTimeout: patience, ClientSideCacheConfig: new(redis.ClientSideCacheConfig),
	})
	closeWith(t, client.Close)
	return &goRedisCache{client: client, prefix: s.names.key(0, "")}
}

func (g *goRedisCache) read(t testing.TB) string {
	t.Helper()
	got, err := g.client.Get(t.Context(), g.prefix+probe).Result()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (g *goRedisCache) keep(t testing.TB) { g.kept = g.read(t) }

// dropped polls the cache: when it has handled a report can't be observed from outside. It sleeps in between, since the machine has
// few cores.
func (g *goRedisCache) dropped(t testing.TB) time.Time {
	t.Helper()
	for g.read(t) == g.kept {
		time.Sleep(100 * time.Microsecond)
	}
	return time.Now()
}

func (g *goRedisCache) miss(t testing.TB, key string) {
	t.Helper()
	if err := g.client.Get(t.Context(), g.prefix+key).Err(); err != redis.Nil {
		t.Fatalf("got %v: want a miss", err)
	}
	if err := g.client.Set(t.Context(), g.prefix+key, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func (g *goRedisCache) stored(n int) string { return strconv.Itoa(n) }

func closeWith(t testing.TB, end func() error) {
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}
