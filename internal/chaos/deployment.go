//go:build !windows

package chaos

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// deployment is the Redis of a run.
type deployment struct {
	plan    plan
	masters func() []*redistest.Server // waits until all nodes agree on them
	// failover promotes a replica while its master is healthy.
	failover func()
	nodes    []node // all servers that hold data, or will after a failover
}

// A master that answers slowly on a busy machine, or is frozen for a moment, must stay the master: the run can only account
// for writes that are lost by a failover of its own.
const (
	nodeTimeout     = 1200 * time.Millisecond
	longestSilence  = 400 * time.Millisecond  // of a master that isn't to be failed over
	failoverTrouble = 1500 * time.Millisecond // how long clients may still fail after a failover
)

func deploy(t testing.TB, topology Topology) *deployment {
	t.Helper()
	switch topology {
	case Single:
		return deploySingle(t)
	case Sentinel:
		return deploySentinel(t)
	case Cluster:
		return deployCluster(t)
	}
	t.Fatalf("chaos: topology %q: want %s, %s or %s", topology, Single, Sentinel, Cluster)
	return nil
}

func deploySingle(t testing.TB) *deployment {
	s := redistest.Start(t)
	return &deployment{
		plan:    plan{Topology: Single, Addrs: []string{s.Addr()}},
		masters: func() []*redistest.Server { return []*redistest.Server{s} },
		nodes:   []node{node(s.Addr())},
	}
}

func deploySentinel(t testing.TB) *deployment {
	s := redistest.StartSentinel(t)
	for i, addr := range s.Addrs() {
		patience := nodeTimeout
		if i == 2 {
			patience *= 2 // as in redistest: this one votes for one of the others
		}
		if _, err := node(addr).do("SENTINEL", "SET", redistest.SentinelMaster, "down-after-milliseconds", patience.Milliseconds()); err != nil {
			t.Fatal(err)
		}
	}
	master := node(s.Master().Addr())
	r, err := master.role()
	if err != nil {
		t.Fatal(err)
	}
	return &deployment{
		plan:     plan{Topology: Sentinel, Addrs: s.Addrs(), Master: redistest.SentinelMaster},
		masters:  func() []*redistest.Server { return []*redistest.Server{s.Master()} },
		failover: s.Failover,
		nodes:    append([]node{master}, r.replicas...),
	}
}

func deployCluster(t testing.TB) *deployment {
	c := redistest.StartCluster(t)
	d := &deployment{
		plan:     plan{Topology: Cluster, Addrs: c.Addrs()},
		masters:  c.Masters,
		failover: c.Failover,
	}
	for _, addr := range c.Addrs() {
		d.nodes = append(d.nodes, node(addr))
		if _, err := node(addr).do("CONFIG", "SET", "cluster-node-timeout", nodeTimeout.Milliseconds()); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *deployment) addrs() []string {
	all := make([]string, len(d.nodes))
	for i, n := range d.nodes {
		all[i] = string(n)
	}
	return all
}
