package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// In a Cluster a lease beside a value may be another master's than the value. There is one load all the same.
func TestLeasesBesideInACluster(t *testing.T) {
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	t.Parallel()
	cluster := redistest.StartCluster(t)
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			o := tiered.RedisOptions{Invalidation: how, Timeout: 5 * time.Second}
			p := tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour}
			client := cluster.Client(t)
			asks := asked{prefix: "tc:test!lease:"}
			client.OnNewNode(func(node *redis.Client) { node.AddHook(&asks) })
			a := newCache(t, tiered.Options[string]{Redis: openedRedis(t, cluster.Client(t), o), Policy: p})
			b := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, o), Policy: p})
			var keys []string
			for i := range 12 {
				keys = append(keys, fmt.Sprint(mode, i))
				set(t, a, keys[i], "old")
			}
			settled(t, how, a, b)
			isFree := func(key string) bool {
				n, err := client.Exists(t.Context(), "tc:test!lease:"+key).Result()
				return n == 0 && err == nil
			}
			for _, key := range keys {
				if err := a.Expire(t.Context(), key); err != nil {
					t.Fatal(err)
				}
				g := newGate()
				holder := g.begin(t, a, key)
				before := asks.n.Load()
				waiter := begin(t, b, key, g.load)
				waitFor(t, func() bool { return asks.n.Load() > before })
				close(g.open)
				holder.gets(t, "load 1")
				waiter.gets(t, "load 1")
				if n := g.loads.Load(); n != 1 {
					t.Errorf("%s: %d loads", key, n)
				}
				waitFor(t, func() bool { return isFree(key) })
			}
			if err := a.Expire(t.Context(), keys...); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			loads := make(map[string]int)
			batch := func(_ context.Context, keys []string) (map[string]string, error) {
				mu.Lock()
				defer mu.Unlock()
				got := make(map[string]string)
				for _, key := range keys {
					loads[key]++
					got[key] = "batch"
				}
				return got, nil
			}
			var wg sync.WaitGroup
			for _, c := range []*tiered.Cache[string]{a, b} {
				wg.Go(func() {
					got, err := tiered.GetOrLoadMany(t.Context(), c, keys, self, batch)
					if len(got) != len(keys) || err != nil {
						t.Errorf("%v, %v", got, err)
					}
				})
			}
			wg.Wait()
			for _, key := range keys {
				if loads[key] != 1 {
					t.Errorf("%s: %d loads in batches", key, loads[key])
				}
				waitFor(t, func() bool { return isFree(key) })
			}
		})
	}
}

// If the holder's load fails the next one, who waits for it elsewhere in the Cluster, loads.
func TestFailedLoadBesideInACluster(t *testing.T) {
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	t.Parallel()
	cluster := redistest.StartCluster(t)
	o := tiered.RedisOptions{Timeout: 5 * time.Second}
	p := tiered.Policy{TTL: time.Hour, StaleIfError: time.Minute, RetryAfter: time.Millisecond}
	a := newCache(t, tiered.Options[string]{Redis: openedRedis(t, cluster.Client(t), o), Policy: p})
	b := newCache(t, tiered.Options[string]{Redis: openedRedis(t, cluster.Client(t), o), Policy: p})
	set(t, a, "k0", "old")
	settled(t, tiered.Tracking, a, b)
	for i := range 6 {
		key := fmt.Sprint("k", i)
		set(t, a, key, "old")
		if err := a.Expire(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		loading, fail := make(chan struct{}), make(chan struct{})
		holder := begin(t, a, key, func(context.Context, *tiered.Entry[string]) (string, error) {
			close(loading)
			<-fail
			return "", errors.New("down")
		})
		<-loading
		waiter := begin(t, b, key, value("new"))
		close(fail)
		holder.gets(t, "old")
		waiter.gets(t, "new")
	}
}
