package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// topology is a Redis that goes on without one of its masters.
type topology struct {
	client   newClient // with go-redis's defaults
	alert    newClient // one that soon knows of a master's death
	masters  func() []*redistest.Server
	failover func()
	kill     func()
}

type newClient func(testing.TB) redis.UniversalClient

func startCluster(t *testing.T) topology {
	c := redistest.StartCluster(t)
	return topology{
		client: func(t testing.TB) redis.UniversalClient { return c.Client(t) },
		// By default a client asks who has a dead master's slots up to a minute later (go-redis issue 3979).
		alert: func(t testing.TB) redis.UniversalClient {
			client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ClusterStateReloadInterval: time.Second})
			t.Cleanup(func() { _ = client.Close() })
			return client
		},
		masters:  c.Masters,
		failover: c.Failover,
		kill:     func() { c.KillMaster() },
	}
}

func startSentinel(t *testing.T) topology {
	s := redistest.StartSentinel(t)
	client := func(t testing.TB) redis.UniversalClient { return s.Client(t) }
	return topology{
		client:   client,
		alert:    client,
		masters:  func() []*redistest.Server { return []*redistest.Server{s.Master()} },
		failover: s.Failover,
		kill:     func() { s.KillMaster() },
	}
}

// held counts the keys that the masters have, and those that the poorest of them has.
func (tp topology) held(pattern string) (all, least int) {
	for i, m := range tp.masters() {
		keys, _ := m.Do("KEYS", pattern).([]any)
		all += len(keys)
		if i == 0 || len(keys) < least {
			least = len(keys)
		}
	}
	return all, least
}

// open makes a cache on a second tier of its own, as another process would.
func open(t testing.TB, client newClient, o tiered.Options[string], timeout time.Duration) *tiered.Cache[string] {
	t.Helper()
	r, err := tiered.NewRedis(client(t), tiered.RedisOptions{Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	o.Redis = r
	return newCache(t, o)
}

func TestTopologies(t *testing.T) {
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	for name, start := range map[string]func(*testing.T) topology{"cluster": startCluster, "sentinel": startSentinel} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tp := start(t)
			t.Run("one key", func(t *testing.T) { oneKey(t, tp) })
			t.Run("many keys", func(t *testing.T) { manyKeys(t, tp) })
			t.Run("failover", func(t *testing.T) { outlive(t, tp, tp.client, tp.failover) })
			t.Run("death", func(t *testing.T) { outlive(t, tp, tp.alert, tp.kill) })
		})
	}
}

// A node that doesn't answer takes only its own keys along.
func TestClusterWithADeadNode(t *testing.T) {
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	t.Parallel()
	c := redistest.StartCluster(t)
	client := func(t testing.TB) redis.UniversalClient { return c.Client(t) }
	o := tiered.Options[string]{Name: "half"}
	writer := open(t, client, o, 5*time.Second)
	values, keys := make(map[string]string), []string(nil)
	for i := range 300 {
		key := fmt.Sprint("k", i)
		values[key], keys = "v", append(keys, key)
	}
	if err := writer.SetMany(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	reader := open(t, client, o, 500*time.Millisecond)
	if _, err := reader.Get(t.Context(), keys[0]); err != nil { // to know the cluster, and the cache's epoch
		t.Error(err)
	}
	dead := c.Masters()[0]
	dead.Freeze()
	defer dead.Thaw()
	got, err := reader.GetMany(t.Context(), keys...)
	if err == nil || len(got) < 150 || len(got) >= 300 {
		t.Errorf("%d of 300 keys, %v; want those of two nodes, and an error", len(got), err)
	}
	if s := reader.Stats(); s.RedisErrors < uint64(300-len(got)) {
		t.Errorf("stats %+v", s)
	}
	if err := reader.SetMany(t.Context(), values); err == nil {
		t.Error("SetMany without one of the nodes succeeded")
	}
}

// poolsAreGone reports whether go-redis has noticed that its clients are closed: a pool that dials a dead server looks
// once a second.
func poolsAreGone() bool {
	stacks := make([]byte, 1<<20)
	return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("(*ConnPool).tryDial"))
}

func oneKey(t *testing.T, tp topology) {
	ctx := t.Context()
	o := tiered.Options[string]{Name: "one"}
	writer, reader := open(t, tp.client, o, 5*time.Second), open(t, tp.client, o, 5*time.Second)
	if v, err := writer.GetOrLoad(ctx, "k", value("v")); v != "v" || err != nil {
		t.Errorf("loaded %q, %v", v, err)
	}
	if v, err := reader.GetOrLoad(ctx, "k", noLoad[string](t)); v != "v" || err != nil {
		t.Errorf("the other process got %q, %v", v, err)
	}
}

// A thousand keys are in slots of every master.
func manyKeys(t *testing.T, tp topology) {
	ctx := t.Context()
	o := tiered.Options[string]{Name: "many"}
	writer, reader := open(t, tp.client, o, 5*time.Second), open(t, tp.client, o, 5*time.Second)
	want := thousand("k")
	keys := slices.Collect(maps.Keys(want))

	if err := writer.SetMany(ctx, want); err != nil {
		t.Fatal(err)
	}
	if all, least := tp.held("tc:many:*"); all != len(keys) || least == 0 {
		t.Errorf("the masters have %d keys, one of them %d", all, least)
	}
	if got, err := reader.GetMany(ctx, keys...); err != nil || !maps.Equal(got, want) {
		t.Errorf("GetMany: %d values, %v", len(got), err)
	}
	if err := writer.Delete(ctx, keys...); err != nil {
		t.Error(err)
	}
	if n, _ := tp.held("tc:many:*"); n != 0 {
		t.Errorf("the masters have %d deleted keys", n)
	}
	if got, err := tiered.GetOrLoadMany(ctx, writer, keys, self, loadSelf); err != nil || !maps.Equal(got, want) {
		t.Errorf("GetOrLoadMany: %d values, %v", len(got), err)
	}
	third := open(t, tp.client, o, 5*time.Second)
	got, err := tiered.GetOrLoadMany(ctx, third, keys, self, func(_ context.Context, missing []string) (map[string]string, error) {
		return nil, fmt.Errorf("%d keys aren't in redis", len(missing))
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("GetOrLoadMany by a third process: %d values, %v", len(got), err)
	}
	for i, c := range []*tiered.Cache[string]{writer, reader, third} {
		if st := c.Stats(); st.RedisErrors+st.CodecErrors != 0 {
			t.Errorf("cache %d: stats %+v", i, st)
		}
	}
}

// A master goes while caches are in use: no read fails, and soon the caches work as before.
func outlive(t *testing.T, tp topology, client newClient, goes func()) {
	ctx := t.Context()
	// Nothing stays in the local tier, so that every read is one of Redis.
	o := tiered.Options[string]{Name: path.Base(t.Name()), Policy: tiered.Policy{LocalTTL: time.Millisecond}}
	writer, reader := open(t, client, o, 0), open(t, client, o, 0)
	before, after := thousand("before"), thousand("after")
	keys := slices.Collect(maps.Keys(after))
	waitFor(t, func() bool { return writer.SetMany(ctx, before) == nil })

	stop := keepReading(t, reader, slices.Collect(maps.Keys(before)))
	defer stop()
	goes()
	gone := time.Now()
	waitFor(t, func() bool {
		if writer.SetMany(ctx, after) != nil {
			return false
		}
		got, err := reader.GetMany(ctx, keys...)
		held, _ := tp.held("tc:" + o.Name + ":after*")
		return err == nil && maps.Equal(got, after) && held == len(keys)
	})
	t.Logf("the caches needed %v more", time.Since(gone))
}

// keepReading reads the keys in every way there is, until stop is called.
func keepReading(t *testing.T, c *tiered.Cache[string], keys []string) (stop func()) {
	ctx := t.Context()
	over := make(chan struct{})
	var wg sync.WaitGroup
	for name, read := range map[string]func(i int) error{
		"Get": func(i int) error {
			v, err := c.Get(ctx, keys[i])
			if errors.Is(err, tiered.ErrNotFound) {
				return nil // what Redis doesn't answer is a miss
			}
			return wantSelf(map[string]string{keys[i]: v}, err, 1)
		},
		"GetOrLoad": func(i int) error {
			v, err := c.GetOrLoad(ctx, keys[i], value(keys[i]))
			return wantSelf(map[string]string{keys[i]: v}, err, 1)
		},
		"GetMany": func(i int) error {
			got, _ := c.GetMany(ctx, keys[i:i+10]...) // its error names what a master that is away can't be asked for
			return wantSelf(got, nil, 0)
		},
		"GetOrLoadMany": func(i int) error {
			got, err := tiered.GetOrLoadMany(ctx, c, keys[i:i+10], self, loadSelf)
			return wantSelf(got, err, 10)
		},
	} {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				case <-time.After(time.Millisecond): // the servers need some of the processor, too
				}
				if err := read(n * 10 % len(keys)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	return func() {
		close(over)
		wg.Wait()
	}
}

// thousand returns keys whose values are the keys themselves.
func thousand(prefix string) map[string]string {
	m := make(map[string]string, 1000)
	for i := range 1000 {
		key := fmt.Sprint(prefix, i)
		m[key] = key
	}
	return m
}

func self(key string) string { return key }

func loadSelf(_ context.Context, keys []string) (map[string]string, error) {
	m := make(map[string]string, len(keys))
	for _, key := range keys {
		m[key] = key
	}
	return m, nil
}

func wantSelf(got map[string]string, err error, least int) error {
	if err != nil {
		return err
	}
	for key, v := range got {
		if v != key {
			return fmt.Errorf("%s is %q", key, v)
		}
	}
	if len(got) < least {
		return fmt.Errorf("%d values, want %d", len(got), least)
	}
	return nil
}
