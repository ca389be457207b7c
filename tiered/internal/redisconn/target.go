package redisconn

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Target is the server of some keys, and the client that reaches it.
type Target struct {
	to redis.Cmdable
	*Node
}

// sameAs reports whether both have the same client of the same server. Where one stream serves all nodes there is one client,
// which may be of a type that can't be compared.
func (s *Target) sameAs(other Target) bool {
	return s.Node == other.Node && (s.Breaker.redis.Nodes.Find == nil || s.to == other.to)
}

// nodeBatch are those keys of a request that go to one server.
type nodeBatch struct {
	places []int // of the keys in the request
	Target
}

// ByNode groups keys by their node. One pipeline per node can't be held up by another node that doesn't answer.
func (r *Conn) ByNode(ctx context.Context, keys []string) ([]nodeBatch, error) {
	cluster, ok := r.Client.(*redis.ClusterClient)
	if !ok {
		return []nodeBatch{{upTo(len(keys)), Target{r.Client, r.Nodes.Only}}}, nil
	}
	nodes := &r.Nodes
	if nodes.Located.Load() {
		return r.groupByNode(ctx, cluster, keys) // which sends nothing
	}
	if err := nodes.Lost.Err("cluster"); err != nil {
		return nil, err
	}
	began := mono.Now()
	batches, err := Call(ctx, r, "cluster", nil, func(ctx context.Context) ([]nodeBatch, error) {
		batches, err := r.groupByNode(ctx, cluster, keys)
		return batches, bare(err)
	})
	nodes.Lost.Report(ctx, nil, began, err)
	if err == nil {
		nodes.Located.Store(true)
	}
	return batches, err
}

func (r *Conn) groupByNode(ctx context.Context, cluster *redis.ClusterClient, keys []string) (batches []nodeBatch, err error) {
	index := make(map[*redis.Client]int) // of the nodes in batches
	for i, key := range keys {
		node, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("tiered: redis: cluster: %w", err)
		}
		at, ok := index[node]
		if !ok {
			at = len(batches)
			index[node] = at
			batches = append(batches, nodeBatch{Target: r.targetOf(cluster, node, key)})
		}
		batches[at].places = append(batches[at].places, i)
	}
	return batches, nil
}

// target returns the server of one key; false: to find it, something has to be sent.
func (r *Conn) target(ctx context.Context, key string) (Target, bool) {
	cluster, ok := r.Client.(*redis.ClusterClient)
	if !ok {
		return Target{r.Client, r.Nodes.Only}, true
	}
	if !r.Nodes.Located.Load() {
		return Target{}, false
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return Target{}, false
	}
	return r.targetOf(cluster, node, key), true
}

func (r *Conn) targetOf(cluster *redis.ClusterClient, node *redis.Client, key string) Target {
	n := r.NodeOf(cluster, node.Options().Addr, key)
	if r.Nodes.Find == nil {
		return Target{cluster, n} // one stream serves all nodes: any of them may answer
	}
	return Target{node, n}
}

// upTo returns the numbers from 0 to n-1.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// eachBatch calls f for all batches at the same time, and returns when all calls have.
func eachBatch(batches []nodeBatch, f func(nodeBatch)) {
	var others sync.WaitGroup
	for _, b := range batches[1:] {
		others.Go(func() { f(b) })
	}
	f(batches[0])
	others.Wait()
}
