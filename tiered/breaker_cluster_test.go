package tiered_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// startHelplessCluster returns a Cluster that doesn't heal by itself.
func startHelplessCluster(t *testing.T) *redistest.Cluster {
	t.Helper()
	cluster := redistest.StartCluster(t)
	for _, addr := range cluster.Addrs() {
		node := redis.NewClient(&redis.Options{Addr: addr})
		for _, set := range [][2]string{{"cluster-replica-no-failover", "yes"}, {"cluster-require-full-coverage", "no"}} {
			if err := node.ConfigSet(t.Context(), set[0], set[1]).Err(); err != nil {
				t.Fatal(err)
			}
		}
		_ = node.Close()
	}
	return cluster
}

// A dead master takes only its own keys along.
func TestBreakerOfOneMaster(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cluster := startHelplessCluster(t)
			client := cluster.Client(t)
			var told switches
			o := quickToGiveUp(how)
			o.Timeout *= 2 // for six servers on a slow machine
			r := openedRedis(t, client, o)
			c := newCache(t, tiered.Options[string]{Redis: r, Trace: told.trace()})
			waitFor(t, func() bool { return r.Status() == nil && c.Set(t.Context(), "k", "v") == nil })
			of := func(key string) string {
				node, err := client.MasterForKey(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				return node.Options().Addr
			}
			dead := cluster.Masters()[0]
			for _, m := range cluster.Masters() { // neither the epoch's nor, with PubSub, that of the messages
				if m.Addr() != of("tc:test!era{test}") && m.Addr() != of("tc!changes") {
					dead = m
				}
			}
			var theirs, others []string
			for i := range 100 {
				key := fmt.Sprint("k", i)
				if of("tc:test:"+key) == dead.Addr() {
					theirs = append(theirs, key)
				} else {
					others = append(others, key)
				}
			}
			dead.Freeze()
			defer dead.Thaw()
			for i := 0; !c.Stats().BreakerOpen; i++ {
				if i == 3 {
					t.Fatal("three calls weren't answered")
				}
				_, _ = c.Get(t.Context(), theirs[i])
			}
			before := c.Stats()
			for _, key := range others {
				if err := c.Set(t.Context(), key, key); err != nil {
					t.Errorf("another master's: %v", err)
				}
			}
			for range 5 {
				keys := append([]string{others[0]}, theirs...)
				if got, err := c.GetMany(t.Context(), keys...); len(got) != 1 || !isNotAsked(err) {
					t.Errorf("GetMany: %v, %v", got, err)
				}
			}
			s := c.Stats()
			if s.Spared != before.Spared+uint64(5*len(theirs)) || s.RedisErrors != before.RedisErrors {
				t.Errorf("%d keys, stats %+v", len(theirs), s)
			}
			if err := r.Ping(t.Context()); err == nil {
				t.Error("ping: nil")
			}
			dead.Thaw()
			waitFor(t, func() bool { return r.Status() == nil && !c.Stats().BreakerOpen })
			for _, key := range theirs {
				if err := c.Set(t.Context(), key, key); err != nil {
					t.Error(err)
				}
			}
			told.alternates(t, dead.Addr(), c.Stats().Opened)
		})
	}
}

func isNotAsked(err error) bool { return err != nil && strings.Contains(err.Error(), "isn't asked") }
