package invalidation

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	f := openFixture(t, s.Client(t), shortLived())
	for i, fail := range []func(){s.Failover, func() { s.KillMaster() }} {
		before := f.waitValid(t)
		old := s.Master()
		fail()
		observe.Until(t, "the old validity ends", func() bool { return before.Ended() })
		f.waitValid(t)
		observe.Until(t, "a stream from the new master", func() bool {
			return f.waitValid(t) != before && f.only.status.where() == s.Master().Addr()
		})
		if old.Addr() == s.Master().Addr() {
			t.Error("no failover")
		}
		key := fmt.Sprint("k", i)
		s.Master().Do("SET", "tc:c:"+key, "1")
		observe.Until(t, "events", func() bool { return f.changes.has(":" + key) })
	}
}

// waitAllValid waits until each master has a stream, and each stream is a master's and its validity holds.
func (f fixture) waitAllValid(t *testing.T, c *redistest.Cluster) {
	t.Helper()
	observe.Until(t, "the masters' streams", func() bool {
		var want, got []string
		for _, m := range c.Masters() {
			want = append(want, m.Addr())
		}
		for _, s := range f.all() {
			got = append(got, s.status.where())
		}
		slices.Sort(want)
		return slices.Equal(got, want) && f.Status() == nil
	})
}

// waitReceives has keys of all masters changed.
func (f fixture) waitReceives(t *testing.T, client *redis.ClusterClient, name string) {
	t.Helper()
	for i := range 60 {
		key := fmt.Sprint(name, i)
		observe.Until(t, "a write", func() bool { return client.Set(t.Context(), "tc:c:"+key, 1, 0).Err() == nil })
		observe.Until(t, "the event of "+key, func() bool { return f.changes.has(":" + key) })
	}
}

func TestClusterStreams(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	client := c.Client(t)
	f := openFixture(t, client, shortLived())
	if err := f.Status(); err != nil || len(f.all()) != 3 {
		t.Errorf("%d streams, %v", len(f.all()), err)
	}
	f.waitAllValid(t, c)
	f.waitReceives(t, client, "first")

	if s := f.Nodes.Find("127.0.0.1:1").Feed; s == nil || s.Validity().Holds(0) || s.Unreachable.Load() {
		t.Error("the stream of an unknown node")
	}
	for i, fail := range []func(){c.Failover, func() { c.KillMaster() }, func() { c.KillMaster().Restart() }} {
		old := *f.topology.byAddr.Load()
		fail()
		start := time.Now()
		f.waitAllValid(t, c)
		t.Logf("failure %d: followed after %v", i, time.Since(start))
		for addr, s := range old {
			if now := *f.topology.byAddr.Load(); now[addr] == nil && s.Validity() != coherence.Never && !s.Validity().Ended() {
				t.Errorf("the validity of %s, a master no longer, goes on", addr)
			}
		}
		f.waitReceives(t, client, fmt.Sprint("failure", i, "-"))
	}
}

// A frozen master stops only its own stream.
func TestClusterFrozenMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	f := openFixture(t, c.Client(t), shortLived())
	f.waitAllValid(t, c)
	frozen := c.Masters()[1]
	of := func() *stream { return (*f.topology.byAddr.Load())[frozen.Addr()] }
	v := of().Validity()
	frozen.Freeze()
	defer frozen.Thaw()
	observe.Until(t, "the validity runs out", func() bool { return !v.Holds(mono.Now()) })
	for _, s := range f.all() {
		if s != of() && s.status.where() != frozen.Addr() && !s.Validity().Holds(mono.Now()) {
			t.Errorf("%s isn't valid either: %v", s.status.where(), s.statusError())
		}
	}
	observe.Until(t, "another master in its place", func() bool { return of() == nil })
	frozen.Thaw()
	f.waitAllValid(t, c)
}

func TestClusterDownAtFirst(t *testing.T) {
	t.Parallel()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer client.Close()
	f := openFixture(t, client, shortLived())
	if f.Status() == nil {
		t.Error("status is nil")
	}
}

// When a node leaves the Cluster for a while, go-redis closes its client: the breaker probes with the new one.
func TestBreakerOfANodeThatCameBack(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	f := openFixture(t, c.Client(t), settings{Invalidation: None, Heartbeat: 50 * time.Millisecond, Timeout: 5 * time.Second})
	earlier := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()})
	node, err := earlier.MasterForKey(t.Context(), "tc:c:k")
	if err != nil {
		t.Fatal(err)
	}
	b := f.Nodes.NodeOf(f.Client.(*redis.ClusterClient), node.Options().Addr, "tc:c:k").Breaker
	if err := earlier.Close(); err != nil {
		t.Fatal(err)
	}
	if !b.Open(mono.Now(), io.EOF) {
		t.Fatal("it isn't open")
	}
	observe.Until(t, "the node is asked again", func() bool { return !b.IsOpen() })
}

// A stream that ends as its node leaves the Cluster doesn't say which node has the keys now.
func TestNodeLeavesAsItsStreamEnds(t *testing.T) {
	t.Parallel()
	f := openFixture(t, redistest.Start(t).Client(t), quick())
	s := f.only
	f.waitValid(t)
	s.breaker.Retire()
	s.disconnected(t.Context(), newConnection(s), io.EOF)
	if s.Unreachable.Load() {
		t.Error("values whose validity has run out may be served, for good")
	}
}
