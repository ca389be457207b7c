//go:build !windows

package redistest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

const (
	clusterMasters = 3
	clusterSlots   = 16_384
)

// Cluster is a Redis Cluster for one test: three masters with one replica each. Its methods may be called
// from any goroutine of the test. If one fails, it calls t.Errorf.
type Cluster struct {
	t     testing.TB
	nodes []*Server
}

// shard is a range of slots as a node sees it. Shards are comparable.
type shard struct {
	first, last int
	master      *Server
	replica     *Server // nil: none that is up and has the master's data
}

// StartCluster returns a Cluster in which every node knows that all slots are served and every replica is in sync. A
// master that doesn't answer for half a second is considered dead. StartCluster takes more than two seconds, for which a new
// master refuses queries.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	args := append(slices.Clone(promptReplication), "--cluster-node-timeout", "500")
	for range 2 * clusterMasters {
		c.nodes = append(c.nodes, start(t, clusterNode, args...))
	}
	if err := c.form(); err != nil {
		t.Fatalf("redistest: forming the cluster: %v", err)
	}
	return c
}

// Addrs returns the host:port of every node, replicas included; no failover changes them.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, node := range c.nodes {
		addrs[i] = node.Addr()
	}
	return addrs
}

// Client returns a client with go-redis's defaults. It is closed when t ends, before the servers end.
func (c *Cluster) Client(t testing.TB) *redis.ClusterClient {
	t.Helper()
	return closeOnCleanup(t, redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()}))
}

// Masters returns the masters in the order of their slots, as soon as all nodes agree on them.
func (c *Cluster) Masters() []*Server {
	c.t.Helper()
	shards := c.shards()
	masters := make([]*Server, len(shards))
	for i, sh := range shards {
		masters[i] = sh.master
	}
	return masters
}

// Failover promotes the replica of one master (CLUSTER FAILOVER), and returns when all nodes know it and the old master
// replicates the new one.
func (c *Cluster) Failover() {
	c.t.Helper()
	sh, ok := c.replicated()
	if !ok {
		return
	}
	if _, err := sh.replica.do("CLUSTER", "FAILOVER"); err != nil {
		c.t.Errorf("redistest: %v", err)
		return
	}
	c.awaitMaster(sh.replica)
}

// KillMaster kills one master as a crash would. It returns when the master's replica serves its slots and all nodes know
// it. The killed master can be restarted as a replica. The next call kills another master that still has a replica.
func (c *Cluster) KillMaster() *Server {
	c.t.Helper()
	sh, ok := c.replicated()
	if !ok {
		return nil
	}
	sh.master.Kill()
	c.awaitMaster(sh.replica)
	return sh.master
}

// replicated returns the first shard that can lose its master.
func (c *Cluster) replicated() (shard, bool) {
	c.t.Helper()
	shards := c.shards()
	i := slices.IndexFunc(shards, func(sh shard) bool { return sh.replica != nil })
	if i < 0 {
		c.t.Error("redistest: no master of the cluster has a replica")
		return shard{}, false
	}
	return shards[i], true
}

func (c *Cluster) awaitMaster(s *Server) {
	c.t.Helper()
	err := Await(func() error {
		shards, err := c.agreed()
		if err == nil && !slices.ContainsFunc(shards, func(sh shard) bool { return sh.master == s }) {
			err = fmt.Errorf("%s is still a replica", s.Addr())
		}
		return err
	})
	if err != nil {
		c.t.Errorf("redistest: failing over: %v", err)
	}
}

// shards returns the shards as soon as the nodes agree on them.
func (c *Cluster) shards() (shards []shard) {
	c.t.Helper()
	err := Await(func() (err error) {
		shards, err = c.agreed()
		return err
	})
	if err != nil {
		c.t.Errorf("redistest: the cluster's nodes don't agree: %v", err)
	}
	return shards
}

// agreed returns the shards if every node that is up serves queries, has the same view of the shards, and is part of
// one. A replica is part of a shard when it is in sync.
func (c *Cluster) agreed() (shards []shard, err error) {
	up := 0
	for _, node := range c.nodes {
		if !node.up() {
			continue
		}
		view, err := c.view(node)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", node.Addr(), err)
		}
		if up++; up > 1 && !slices.Equal(view, shards) {
			return nil, fmt.Errorf("node %s: sees other shards", node.Addr())
		}
		shards = view
	}
	members, slots := 0, 0
	for _, sh := range shards {
		slots += sh.last - sh.first + 1
		for _, s := range []*Server{sh.master, sh.replica} {
			if s.up() {
				members++
			}
		}
	}
	if slots != clusterSlots || members != up {
		return nil, fmt.Errorf("%d slots are served, and %d of %d nodes take part", slots, members, up)
	}
	return shards, nil
}

// view returns the shards as a node sees them.
func (c *Cluster) view(node *Server) ([]shard, error) {
	var info string
	var ranges []redis.ClusterSlot
	err := node.withClient(func(ctx context.Context, r *redis.Client) (err error) {
		if info, err = r.ClusterInfo(ctx).Result(); err == nil {
			//nolint:staticcheck // where a failed master and its slots are in CLUSTER SHARDS depends on the version
			ranges, err = r.ClusterSlots(ctx).Result()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !strings.Contains(info, "cluster_state:ok") {
		return nil, errors.New("refuses queries")
	}
	var shards []shard
	for _, of := range ranges {
		sh := shard{first: of.Start, last: of.End, master: c.node(of.Nodes[0].Addr)}
		for _, n := range of.Nodes[1:] { // the replicas that have the master's data
			if server := c.node(n.Addr); server.up() {
				sh.replica = server
			}
		}
		if !sh.master.up() {
			return nil, errors.New("has a dead master")
		}
		shards = append(shards, sh)
	}
	slices.SortFunc(shards, func(a, b shard) int { return a.first - b.first })
	return shards, nil
}

// node returns the node with the address, or nil.
func (c *Cluster) node(addr string) *Server {
	i := slices.IndexFunc(c.nodes, func(s *Server) bool { return s.Addr() == addr })
	if i < 0 {
		return nil
	}
	return c.nodes[i]
}

// form joins the nodes to a cluster. The first half are the masters.
func (c *Cluster) form() error {
	for _, step := range []func(ctx context.Context, r *redis.Client, i int) error{c.assign, c.meet, c.follow} {
		for i, node := range c.nodes {
			err := node.withClient(func(ctx context.Context, r *redis.Client) error { return step(ctx, r, i) })
			if err != nil {
				return fmt.Errorf("node %s: %w", node.Addr(), err)
			}
		}
	}
	return Await(func() error {
		_, err := c.agreed()
		return err
	})
}

// assign gives a master its slots. It gives each node an epoch of its own, since nodes with the same one would have to
// resolve that first.
func (c *Cluster) assign(ctx context.Context, r *redis.Client, i int) error {
	if err := r.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil || i >= clusterMasters {
		return err
	}
	first, next := i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters
	return r.ClusterAddSlotsRange(ctx, first, next-1).Err()
}

// meet introduces a node to all nodes after it, since gossip would take longer.
func (c *Cluster) meet(ctx context.Context, r *redis.Client, i int) error {
	for _, other := range c.nodes[i+1:] {
		if err := r.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", other.port.number, other.bus.number).Err(); err != nil {
			return err
		}
	}
	return nil
}

// follow makes a node a replica if it is in the second half.
func (c *Cluster) follow(ctx context.Context, r *redis.Client, i int) error {
	if i < clusterMasters {
		return nil
	}
	master, err := c.nodes[i-clusterMasters].do("CLUSTER", "MYID")
	if err != nil {
		return err
	}
	// The command is refused until the node knows its master.
	return Await(func() error { return r.Do(ctx, "CLUSTER", "REPLICATE", master).Err() })
}
