package tiered

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// nodes are the breakers that no stream has.
type nodes struct {
	lost    *breaker    // of a Cluster whose nodes can't be found out, and of those that aren't known as masters; nil: no Cluster
	located atomic.Bool // the client has found the Cluster's nodes, and doesn't have to ask for them
	masters sync.Map    // address to *breaker: of a Cluster that has one stream for all its nodes
}

// newBreaker makes the breaker of the stream's server.
func (s *stream) newBreaker() {
	s.breaker = &breaker{redis: s.redis, addr: s.health.where, stream: s}
	if s.deaf {
		s.breaker.probe = func(ctx context.Context) error { return s.redis.probe(ctx, s.redis.client) }
	}
}

// newLost makes the breaker of a Cluster that can't be found. s may be nil.
func (r *Redis) newLost(cluster *redis.ClusterClient, s *stream) {
	b := &breaker{redis: r, addr: func() string { return "cluster" }, stream: s}
	b.probe = func(ctx context.Context) error {
		_, err := call(ctx, r, "cluster", nil, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, cluster.ForEachMaster(ctx, func(context.Context, *redis.Client) error { return nil })
		})
		return err
	}
	r.streams.nodes.lost = b
}

// breakerOf returns the breaker of the Cluster's node that has the key.
func (r *Redis) breakerOf(cluster *redis.ClusterClient, node *redis.Client, key string) *breaker {
	if r.streams.topology != nil {
		return r.streamOf(node).breaker
	}
	masters, addr := &r.streams.nodes.masters, node.Options().Addr
	if b, ok := masters.Load(addr); ok {
		return b.(*breaker)
	}
	made := &breaker{redis: r, addr: func() string { return addr }, left: func() { masters.Delete(addr) }}
	made.probe = func(ctx context.Context) error {
		cluster.ReloadState(ctx) // by itself the client wouldn't soon look who took over
		// Not node: the client closes that if it is out of the Cluster for a while, and has another one afterwards.
		current, err := cluster.MasterForKey(ctx, key)
		switch {
		case err != nil:
			return err
		case current.Options().Addr != addr:
			return errGone
		}
		return r.probe(ctx, current)
	}
	b, _ := masters.LoadOrStore(addr, made)
	return b.(*breaker)
}

// probe asks for a key that isn't there: unlike a PING, that is answered only where reads are. What else comes back than a
// value is judged as any call's error is.
func (r *Redis) probe(ctx context.Context, server redis.Cmdable) error {
	_, err := call(ctx, r, "probe", nil, func(ctx context.Context) (string, error) {
		return server.Get(ctx, r.prefix+"!"+r.streams.id).Result()
	})
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// breakers are all there are.
func (r *Redis) breakers() (all []*breaker) {
	for _, s := range r.streams.all() {
		if s.breaker != nil {
			all = append(all, s.breaker)
		}
	}
	r.streams.nodes.masters.Range(func(_, b any) bool {
		all = append(all, b.(*breaker))
		return true
	})
	if lost := r.streams.nodes.lost; lost != nil {
		all = append(all, lost)
	}
	return all
}

// spares reports whether there is a server that isn't asked.
func (r *Redis) spares() bool { return slices.ContainsFunc(r.breakers(), (*breaker).isOpen) }

// isolated reports whether none of the servers that are known is asked.
func (r *Redis) isolated() bool {
	open, closed := 0, 0
	for _, b := range r.breakers() {
		switch {
		case b.isOpen():
			open++
		case b != r.streams.nodes.lost:
			closed++
		}
	}
	return open > 0 && closed == 0
}

// switched tells the caches of a change of a breaker.
func (r *Redis) switched(addr string, cause error) {
	for _, l := range r.everyone() {
		l.switched(addr, cause)
	}
}
