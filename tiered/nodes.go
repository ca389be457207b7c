package tiered

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

// node is a server, with what is known of it.
type node struct {
	feed    *coherence.Feed // of its invalidations
	breaker *breaker
}

// newBreaker makes the breaker of a server. f may be nil.
func (r *conn) newBreaker(addr func() string, f *coherence.Feed) *breaker {
	return &breaker{redis: r, addr: addr, feed: f}
}

// nodes are the servers of one Redis.
type nodes struct {
	only    *node                   // the only one; nil: a Cluster
	all     *coherence.Feed         // of a Cluster with one stream for all its nodes; nil: each master has its own
	find    func(addr string) *node // the master of the address in a Cluster in which each has its own stream, or unknown
	each    func() []*node          // of these all
	unknown *node                   // of a Cluster: those that aren't known as masters
	lost    *breaker                // of a Cluster whose nodes can't be found out, and of those that aren't known as masters; nil: no Cluster
	located atomic.Bool             // the client has found the Cluster's nodes, and doesn't have to ask for them
	masters sync.Map                // address to *node: of a Cluster that has one stream for all its nodes
}

// any is the feed of a server that can't be told.
func (ns *nodes) any() *coherence.Feed {
	switch {
	case ns.only != nil:
		return ns.only.feed
	case ns.all != nil:
		return ns.all
	}
	return ns.unknown.feed
}

// newLost makes the breaker of a Cluster that can't be found. f may be nil.
func (r *conn) newLost(cluster *redis.ClusterClient, f *coherence.Feed) {
	b := r.newBreaker(func() string { return "cluster" }, f)
	b.probe = func(ctx context.Context) error {
		_, err := call(ctx, r, "cluster", nil, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, cluster.ForEachMaster(ctx, func(context.Context, *redis.Client) error { return nil })
		})
		return err
	}
	r.nodes.lost = b
}

// nodeOf returns the Cluster's node that has the key, which the client finds at an address.
func (r *conn) nodeOf(cluster *redis.ClusterClient, addr, key string) *node {
	if r.nodes.find != nil {
		return r.nodes.find(addr)
	}
	masters := &r.nodes.masters
	if n, ok := masters.Load(addr); ok {
		return n.(*node)
	}
	made := &breaker{redis: r, addr: func() string { return addr }, left: func() { masters.Delete(addr) }}
	made.probe = func(ctx context.Context) error {
		cluster.ReloadState(ctx) // by itself the client wouldn't soon look who took over
		// Not the client's node of now: it closes that if it is out of the Cluster for a while, and has another one afterwards.
		current, err := cluster.MasterForKey(ctx, key)
		switch {
		case err != nil:
			return err
		case current.Options().Addr != addr:
			return errGone
		}
		return r.probe(ctx, current)
	}
	n, _ := masters.LoadOrStore(addr, &node{r.nodes.all, made})
	return n.(*node)
}

// probe asks for a key that isn't there: unlike a PING, that is answered only where reads are. What else comes back than a
// value is judged as any call's error is.
func (r *conn) probe(ctx context.Context, server redis.Cmdable) error {
	_, err := call(ctx, r, "probe", nil, func(ctx context.Context) (string, error) {
		return server.Get(ctx, wire.ProbeKey(r.prefix, r.id)).Result()
	})
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// breakers are all there are.
func (r *conn) breakers() (all []*breaker) {
	if r.nodes.only != nil {
		return []*breaker{r.nodes.only.breaker}
	}
	if r.nodes.each != nil {
		for _, n := range r.nodes.each() {
			all = append(all, n.breaker)
		}
	}
	r.nodes.masters.Range(func(_, n any) bool {
		all = append(all, n.(*node).breaker)
		return true
	})
	if lost := r.nodes.lost; lost != nil {
		all = append(all, lost)
	}
	return all
}

// spares reports whether there is a server that isn't asked.
func (r *conn) spares() bool { return slices.ContainsFunc(r.breakers(), (*breaker).isOpen) }

// isolated reports whether none of the servers that are known is asked.
func (r *conn) isolated() bool {
	open, closed := 0, 0
	for _, b := range r.breakers() {
		switch {
		case b.isOpen():
			open++
		case b != r.nodes.lost:
			closed++
		}
	}
	return open > 0 && closed == 0
}
