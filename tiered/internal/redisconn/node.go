package redisconn

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
)

// Node is one server.
type Node struct {
	Feed    *coherence.Feed // of its invalidations
	Breaker *Breaker
}

// Nodes are the servers of one Redis. Package invalidation knows which of these there are, and sets the fields before
// the first request:
//
//   - A single server: Only.
//   - A Cluster with a stream for each master: Find and All, whose Nodes are made and retired as masters come and go.
//     An address that isn't known as a master's is Unknown's, whose feed never holds, and whose breaker is the
//     ClusterBreaker.
//   - A Cluster with one stream for all nodes, or with none: Shared is its feed. NodeOf makes a Node when a key first
//     leads to an address. Each has that feed, and a breaker without a feed of its own that probes by itself, and
//     retires if the address isn't that of the key's master any more.
//
// A Cluster also has the ClusterBreaker, for the call that finds its nodes.
type Nodes struct {
	breakerHooks
	caller *Caller

	Only           *Node                   // the only server; nil: a Cluster
	Shared         *coherence.Feed         // of a Cluster with one stream for all its nodes; nil: each master has its own
	Find           func(addr string) *Node // where each master has its own stream: the master at the address, or Unknown
	All            func() []*Node          // all masters that Find knows
	Unknown        *Node                   // stands for the nodes of a Cluster that aren't known as masters
	ClusterBreaker *Breaker                // of a Cluster as a whole, open when its nodes can't be found; nil: no Cluster
	Located        atomic.Bool             // the client has found the Cluster's nodes, and answers without asking for them
	masters        sync.Map                // address to *Node: of a Cluster with one stream for all its nodes
}

// AnyFeed returns the feed of a server that isn't known.
func (ns *Nodes) AnyFeed() *coherence.Feed {
	switch {
	case ns.Only != nil:
		return ns.Only.Feed
	case ns.Shared != nil:
		return ns.Shared
	}
	return ns.Unknown.Feed
}

// NewBreaker returns the breaker of a server. The feed may be nil.
func (ns *Nodes) NewBreaker(addr func() string, f *coherence.Feed) *Breaker {
	return &Breaker{caller: ns.caller, hooks: &ns.breakerHooks, Addr: addr, feed: f}
}

// NewClusterBreaker makes the ClusterBreaker. The feed may be nil.
func (ns *Nodes) NewClusterBreaker(cluster *redis.ClusterClient, f *coherence.Feed) {
	b := ns.NewBreaker(func() string { return "cluster" }, f)
	b.ProbeWith = func(ctx context.Context) error {
		_, err := Call(ctx, ns.caller, "cluster", nil, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, cluster.ForEachMaster(ctx, func(context.Context, *redis.Client) error { return nil })
		})
		return err
	}
	ns.ClusterBreaker = b
}

// NodeOf returns the Cluster's node that has the key, which the client finds at an address.
func (ns *Nodes) NodeOf(cluster *redis.ClusterClient, addr, key string) *Node {
	if ns.Find != nil {
		return ns.Find(addr)
	}
	masters := &ns.masters
	if n, ok := masters.Load(addr); ok {
		return n.(*Node)
	}
	b := ns.NewBreaker(func() string { return addr }, nil)
	b.onRetire = func() { masters.Delete(addr) }
	b.ProbeWith = func(ctx context.Context) error {
		cluster.ReloadState(ctx) // by itself the client would look late for the node that took over
		// Not the client's present node: the client closes that if it is out of the Cluster for a while, and makes another
		// one afterwards.
		current, err := cluster.MasterForKey(ctx, key)
		switch {
		case err != nil:
			return err
		case current.Options().Addr != addr:
			return errNotMaster
		}
		return ns.caller.Probe(ctx, current)
	}
	n, _ := masters.LoadOrStore(addr, &Node{ns.Shared, b})
	return n.(*Node)
}

// Breakers returns all breakers.
func (ns *Nodes) Breakers() (all []*Breaker) {
	if ns.Only != nil {
		return []*Breaker{ns.Only.Breaker}
	}
	if ns.All != nil {
		for _, n := range ns.All() {
			all = append(all, n.Breaker)
		}
	}
	ns.masters.Range(func(_, n any) bool {
		all = append(all, n.(*Node).Breaker)
		return true
	})
	if lost := ns.ClusterBreaker; lost != nil {
		all = append(all, lost)
	}
	return all
}

// AnyOpen reports whether there is a server that isn't asked.
func (ns *Nodes) AnyOpen() bool { return slices.ContainsFunc(ns.Breakers(), (*Breaker).IsOpen) }

// allOpen reports whether no server is asked.
func (ns *Nodes) allOpen() bool {
	open, closed := 0, 0
	for _, b := range ns.Breakers() {
		switch {
		case b.IsOpen():
			open++
		case b != ns.ClusterBreaker:
			closed++
		}
	}
	return open > 0 && closed == 0
}
