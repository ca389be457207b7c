package redisconn

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Node is one server.
type Node struct {
	Feed    *coherence.Feed // of its invalidations
	Breaker *Breaker
}

// Nodes are the servers of one Redis.
type Nodes struct {
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

// NewClusterBreaker makes Nodes.ClusterBreaker. The feed may be nil.
func (c *Conn) NewClusterBreaker(cluster *redis.ClusterClient, f *coherence.Feed) {
	b := c.NewBreaker(func() string { return "cluster" }, f)
	b.ProbeWith = func(ctx context.Context) error {
		_, err := Call(ctx, c, "cluster", nil, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, cluster.ForEachMaster(ctx, func(context.Context, *redis.Client) error { return nil })
		})
		return err
	}
	c.Nodes.ClusterBreaker = b
}

// NodeOf returns the Cluster's node that has the key, which the client finds at an address.
func (c *Conn) NodeOf(cluster *redis.ClusterClient, addr, key string) *Node {
	if c.Nodes.Find != nil {
		return c.Nodes.Find(addr)
	}
	masters := &c.Nodes.masters
	if n, ok := masters.Load(addr); ok {
		return n.(*Node)
	}
	b := c.NewBreaker(func() string { return addr }, nil)
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
		return c.Probe(ctx, current)
	}
	n, _ := masters.LoadOrStore(addr, &Node{c.Nodes.Shared, b})
	return n.(*Node)
}

// Probe asks the server for a key that isn't there. Unlike a PING, that is answered only if reads are.
func (c *Conn) Probe(ctx context.Context, server redis.Cmdable) error {
	_, err := Call(ctx, c, "probe", nil, func(ctx context.Context) (string, error) {
		return server.Get(ctx, wire.ProbeKey(c.Prefix, c.ID)).Result()
	})
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// Breakers returns all breakers.
func (c *Conn) Breakers() (all []*Breaker) {
	if c.Nodes.Only != nil {
		return []*Breaker{c.Nodes.Only.Breaker}
	}
	if c.Nodes.All != nil {
		for _, n := range c.Nodes.All() {
			all = append(all, n.Breaker)
		}
	}
	c.Nodes.masters.Range(func(_, n any) bool {
		all = append(all, n.(*Node).Breaker)
		return true
	})
	if lost := c.Nodes.ClusterBreaker; lost != nil {
		all = append(all, lost)
	}
	return all
}

// AnyOpen reports whether there is a server that isn't asked.
func (c *Conn) AnyOpen() bool { return slices.ContainsFunc(c.Breakers(), (*Breaker).IsOpen) }

// allOpen reports whether no server is asked.
func (c *Conn) allOpen() bool {
	open, closed := 0, 0
	for _, b := range c.Breakers() {
		switch {
		case b.IsOpen():
			open++
		case b != c.Nodes.ClusterBreaker:
			closed++
		}
	}
	return open > 0 && closed == 0
}
