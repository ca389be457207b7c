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
	Only    *Node                   // the only server; nil: a Cluster
	Shared  *coherence.Feed         // of a Cluster with one stream for all its nodes; nil: each master has its own
	Find    func(addr string) *Node // where each master has its own stream: the master at the address, or Unknown
	Each    func() []*Node          // all masters that Find knows
	Unknown *Node                   // stands for the nodes of a Cluster that aren't known as masters
	Lost    *Breaker                // of a Cluster as a whole, open when its nodes can't be found; nil: no Cluster
	Located atomic.Bool             // the client has found the Cluster's nodes, and answers without asking for them
	masters sync.Map                // address to *Node: of a Cluster with one stream for all its nodes
}

// Any returns the feed of a server that isn't known.
func (ns *Nodes) Any() *coherence.Feed {
	switch {
	case ns.Only != nil:
		return ns.Only.Feed
	case ns.Shared != nil:
		return ns.Shared
	}
	return ns.Unknown.Feed
}

// NewClusterBreaker makes Nodes.Lost. The feed may be nil.
func (r *Conn) NewClusterBreaker(cluster *redis.ClusterClient, f *coherence.Feed) {
	b := r.NewBreaker(func() string { return "cluster" }, f)
	b.ProbeWith = func(ctx context.Context) error {
		_, err := Call(ctx, r, "cluster", nil, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, cluster.ForEachMaster(ctx, func(context.Context, *redis.Client) error { return nil })
		})
		return err
	}
	r.Nodes.Lost = b
}

// NodeOf returns the Cluster's node that has the key, which the client finds at an address.
func (r *Conn) NodeOf(cluster *redis.ClusterClient, addr, key string) *Node {
	if r.Nodes.Find != nil {
		return r.Nodes.Find(addr)
	}
	masters := &r.Nodes.masters
	if n, ok := masters.Load(addr); ok {
		return n.(*Node)
	}
	b := r.NewBreaker(func() string { return addr }, nil)
	b.retired = func() { masters.Delete(addr) }
	b.ProbeWith = func(ctx context.Context) error {
		cluster.ReloadState(ctx) // by itself the client would look late for the node that took over
		// Not the client's present node: the client closes that if it is out of the Cluster for a while, and makes another
		// one afterwards.
		current, err := cluster.MasterForKey(ctx, key)
		switch {
		case err != nil:
			return err
		case current.Options().Addr != addr:
			return errGone
		}
		return r.Probe(ctx, current)
	}
	n, _ := masters.LoadOrStore(addr, &Node{r.Nodes.Shared, b})
	return n.(*Node)
}

// Probe asks the server for a key that isn't there. Unlike a PING, that is answered only if reads are.
func (r *Conn) Probe(ctx context.Context, server redis.Cmdable) error {
	_, err := Call(ctx, r, "probe", nil, func(ctx context.Context) (string, error) {
		return server.Get(ctx, wire.ProbeKey(r.Prefix, r.ID)).Result()
	})
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// Breakers returns all breakers.
func (r *Conn) Breakers() (all []*Breaker) {
	if r.Nodes.Only != nil {
		return []*Breaker{r.Nodes.Only.Breaker}
	}
	if r.Nodes.Each != nil {
		for _, n := range r.Nodes.Each() {
			all = append(all, n.Breaker)
		}
	}
	r.Nodes.masters.Range(func(_, n any) bool {
		all = append(all, n.(*Node).Breaker)
		return true
	})
	if lost := r.Nodes.Lost; lost != nil {
		all = append(all, lost)
	}
	return all
}

// AnyOpen reports whether there is a server that isn't asked.
func (r *Conn) AnyOpen() bool { return slices.ContainsFunc(r.Breakers(), (*Breaker).IsOpen) }

// isolated reports whether no server is asked.
func (r *Conn) isolated() bool {
	open, closed := 0, 0
	for _, b := range r.Breakers() {
		switch {
		case b.IsOpen():
			open++
		case b != r.Nodes.Lost:
			closed++
		}
	}
	return open > 0 && closed == 0
}
