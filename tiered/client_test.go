package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// allModes are modes with None.
var allModes = modes

// Options by which reads come from elsewhere than the masters are refused, without a word to a server.
func TestClientsThatReadElsewhere(t *testing.T) {
	const addr, sentinel = "127.0.0.1:1", "127.0.0.1:2"
	cached := redis.ClientSideCacheConfig{}
	for _, test := range []struct {
		client redis.UniversalClient
		want   string
	}{
		{redis.NewClient(&redis.Options{Addr: addr, ClientSideCacheConfig: &cached}), "Options.ClientSideCacheConfig"},
		{redis.NewClient(&redis.Options{Addr: addr, ClientSideCache: redis.NewLocalCache(cached)}), "Options.ClientSideCache"},
		{redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, ClientSideCacheConfig: &cached}), "Options.ClientSideCacheConfig"},
		{redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{addr}, ClientSideCacheConfig: &cached}), "Options.ClientSideCacheConfig"},
		{redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}, ReadOnly: true}), "ClusterOptions.ReadOnly"},
		{redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}, RouteByLatency: true}), "ClusterOptions.RouteByLatency"},
		{redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}, RouteRandomly: true}), "ClusterOptions.RouteRandomly"},
		{redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{addr, sentinel}, ReadOnly: true}), "ClusterOptions.ReadOnly"},
		{redis.NewFailoverClusterClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{sentinel}, ReplicaOnly: true}), "ClusterOptions.ReadOnly"},
		{redis.NewFailoverClusterClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{sentinel}, RouteRandomly: true}), "ClusterOptions.RouteRandomly"},
		{redis.NewUniversalClient(&redis.UniversalOptions{MasterName: "m", Addrs: []string{sentinel}, RouteByLatency: true}), "ClusterOptions.RouteByLatency"},
		{redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": addr}}), "*redis.Ring"},
	} {
		for name, mode := range allModes {
			r, err := tiered.NewRedis(test.client, tiered.RedisOptions{Invalidation: mode})
			if r != nil || err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "tiered: NewRedis: ") {
				t.Errorf("%s, %s: %v", test.want, name, err)
			}
		}
		_ = test.client.Close()
	}
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	pipeliner, err := client.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range []redis.UniversalClient{&redis.Client{}, &redis.ClusterClient{}, pipeliner} {
		for _, mode := range allModes {
			if r, err := tiered.NewRedis(none, tiered.RedisOptions{Invalidation: mode}); r != nil || err == nil {
				t.Errorf("%T is accepted", none)
			}
		}
	}
}

// The options of a Cluster's nodes are the business of its NewClient.
func TestClientsOfNodes(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	for name, mode := range allModes {
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), NewClient: func(o *redis.Options) *redis.Client {
			o.ClientSideCacheConfig = new(redis.ClientSideCacheConfig)
			return redis.NewClient(o)
		}})
		r, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: mode, Timeout: patient})
		if r != nil || err == nil || !strings.Contains(err.Error(), "ClientSideCacheConfig") {
			t.Errorf("%s: %v", name, err)
		}
		_ = client.Close()
	}
}

// replica makes the first server one of the second.
func replica(t *testing.T, s, master *redistest.Server) {
	t.Helper()
	host, port, err := net.SplitHostPort(master.Addr())
	if err != nil {
		t.Fatal(err)
	}
	s.Do("REPLICAOF", host, port)
}

// A client that talks to a replica can't be used, whether it takes writes or not.
func TestClientOfAReplica(t *testing.T) {
	t.Parallel()
	cases := &atOnce{t: t}
	defer cases.wait()
	for what, args := range map[string][]string{
		"read-only": nil,
		"writable":  {"--replica-read-only", "no"},
		"RESP2":     {"--rename-command", "HELLO", ""},
	} {
		master, s := redistest.Start(t), redistest.Start(t, args...)
		replica(t, s, master)
		for name, mode := range allModes {
			for _, protocol := range []int{2, 3} {
				if what == "RESP2" && mode == tiered.Tracking {
					continue // which it takes
				}
				cases.run(fmt.Sprintf("%s/%s/RESP%d", what, name, protocol), func(t *testing.T) {
					client := redis.NewClient(&redis.Options{Addr: s.Addr(), Protocol: protocol})
					defer client.Close()
					start := time.Now()
					r, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: mode, Timeout: 500 * time.Millisecond})
					if r != nil || err == nil || !strings.Contains(err.Error(), "replica") || !strings.Contains(err.Error(), s.Addr()) {
						t.Error(err)
					}
					if d := time.Since(start); d > 8*time.Second {
						t.Errorf("it took %v", d)
					}
				})
			}
		}
	}
}

// FailoverOptions.ReplicaOnly isn't among the options of the client that is made of them.
func TestFailoverClientOfReplicas(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	for name, mode := range allModes {
		client := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: redistest.SentinelMaster, SentinelAddrs: s.Addrs(), ReplicaOnly: true,
		})
		r, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: mode, Timeout: 500 * time.Millisecond})
		if r != nil || err == nil || !strings.Contains(err.Error(), "replica") {
			t.Errorf("%s: %v", name, err)
		}
		_ = client.Close()
	}
}

// A server that becomes a replica isn't relied on any more, and Status and the log say so.
func TestServerBecomesAReplica(t *testing.T) {
	t.Parallel()
	cases := &atOnce{t: t}
	defer cases.wait()
	for name, mode := range listeningModes {
		cases.run(name, func(t *testing.T) {
			master, s := redistest.Start(t), redistest.Start(t)
			o := lively(mode)
			o.Timeout = time.Second
			log := new(observe.Log)
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
			r := newRedis(t, s, o)
			c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
			if err := c.Set(t.Context(), "k", "old"); err != nil {
				t.Fatal(err)
			}
			if mode == tiered.Tracking {
				heardOf(t, s, c)
			}
			keep(t, c, "k", "old")
			replica(t, s, master)
			waitFor(t, func() bool { err := r.Status(); return err != nil && strings.Contains(err.Error(), "replica") })
			waitFor(t, func() bool { return strings.Contains(log.String(), "replica") })
			waitFor(t, func() bool { // the master hasn't the value
				v, err := c.Get(t.Context(), "k")
				return v == "" && errors.Is(err, tiered.ErrNotFound)
			})
			s.Do("REPLICAOF", "NO", "ONE")
			waitFor(t, func() bool { return r.Status() == nil })
			if err := c.Set(t.Context(), "k", "new"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A Redis that NewRedis didn't make is an error, and nothing worse.
func TestZeroRedis(t *testing.T) {
	zero := new(tiered.Redis)
	if c, err := tiered.New(tiered.Options[int]{Name: "n", Redis: zero}); c != nil || err == nil || !strings.Contains(err.Error(), "Options.Redis") {
		t.Errorf("got %v", err)
	}
	for _, r := range []*tiered.Redis{nil, zero} {
		if r.Ping(t.Context()) == nil || r.Status() == nil {
			t.Error("it answers")
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Error(err)
		}
	}
}

// Whatever the client's timeouts are, and in whatever order all is closed, that takes no longer than the Timeout allows.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	cases := &atOnce{t: t}
	defer cases.wait()
	type parts struct {
		client *redis.Client
		redis  *tiered.Redis
		cache  *tiered.Cache[string]
	}
	closeClient := func(p parts) error { return p.client.Close() }
	closeRedis := func(p parts) error { return p.redis.Close() }
	closeCache := func(p parts) error { return p.cache.Close() }
	orders := map[string][]func(parts) error{
		"client, Redis, cache": {closeClient, closeRedis, closeCache},
		"client, cache, Redis": {closeClient, closeCache, closeRedis},
		"Redis, cache, client": {closeRedis, closeCache, closeClient},
		"cache, Redis, client": {closeCache, closeRedis, closeClient},
		"cache, client, Redis": {closeCache, closeClient, closeRedis},
	}
	for _, readTimeout := range []time.Duration{0, -1, -2, 5 * time.Minute} {
		for name, mode := range allModes {
			for order, steps := range orders {
				cases.run(fmt.Sprint(readTimeout, ", ", name, ", ", order), func(t *testing.T) {
					closesInTime(t, readTimeout, mode, func(client *redis.Client, r *tiered.Redis, c *tiered.Cache[string]) {
						for _, step := range steps {
							if err := step(parts{client, r, c}); err != nil {
								t.Error(err)
							}
						}
					})
				})
			}
		}
	}
}

func closesInTime(t *testing.T, readTimeout time.Duration, mode tiered.Invalidation, closeAll func(*redis.Client, *tiered.Redis, *tiered.Cache[string])) {
	s := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), ReadTimeout: readTimeout, WriteTimeout: readTimeout})
	o := lively(mode)
	o.Timeout = 500 * time.Millisecond
	r, err := tiered.NewRedis(client, o)
	if err != nil {
		t.Fatal(err)
	}
	policy := longLived
	policy.StoreBehind = true
	c, err := tiered.New(tiered.Options[string]{Name: "test", Redis: r, MaxCost: 1000, Policy: policy, Logger: o.Logger})
	if err != nil {
		t.Fatal(err)
	}
	load := make(chan struct{})
	finish := sync.OnceFunc(func() { close(load) })
	defer finish() // also of a test that fails before
	var all []*call
	began := make(chan struct{})
	for i := range 3 {
		all = append(all, begun(func() (string, error) {
			return c.GetOrLoad(t.Context(), fmt.Sprint("loaded", i), func(context.Context, *tiered.Entry[string]) (string, error) {
				began <- struct{}{}
				<-load
				return "v", nil
			})
		}))
	}
	for range 3 {
		<-began
	}
	waitFor(t, func() bool { return c.Set(t.Context(), "before", "v", "tag") == nil }) // Timeout is short
	s.Freeze()
	finish()
	for i := range 8 { // none of which is answered
		all = append(all, begun(func() (string, error) {
			ctx := t.Context()
			switch i % 4 {
			case 0:
				return c.Get(ctx, fmt.Sprint("get", i))
			case 1:
				return "", c.Set(ctx, fmt.Sprint("set", i), "v", "other")
			case 2:
				return "", c.Delete(ctx, "before")
			}
			return "", c.InvalidateTags(ctx, "tag")
		}))
	}
	waitFor(t, func() bool { return client.PoolStats().TotalConns > client.PoolStats().IdleConns })
	start := time.Now()
	closeAll(client, r, c)
	// Redis.Close takes a Timeout at most and Cache.Close four, see there.
	if d := time.Since(start); d > 5*o.Timeout+time.Second {
		t.Errorf("it took %v", d)
	}
	t.Log("it took", time.Since(start))
	for _, cl := range all {
		_, _ = cl.wait(t)
	}
}

// A dialer that doesn't heed its context holds nobody up.
func TestCloseWithAStuckDialer(t *testing.T) {
	t.Parallel()
	for name, mode := range allModes {
		s := redistest.Start(t)
		release := make(chan struct{})
		client := redis.NewClient(&redis.Options{Addr: s.Addr(), Dialer: func(context.Context, string, string) (net.Conn, error) {
			<-release
			return nil, net.ErrClosed
		}})
		o := lively(mode)
		start := time.Now()
		r, err := tiered.NewRedis(client, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 4*o.Timeout+time.Second {
			t.Errorf("%s: NewRedis took %v", name, d)
		}
		start = time.Now()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > o.Timeout+time.Second {
			t.Errorf("%s: Close took %v", name, d)
		}
		close(release)
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}
