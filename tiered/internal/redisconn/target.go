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
	client redis.Cmdable
	*Node
}

// equal reports whether both have the same client of the same server. Where one stream serves all nodes there is one client,
// which may be of a type that can't be compared.
func (t *Target) equal(other Target) bool {
	return t.Node == other.Node && (t.Breaker.conn.Nodes.Find == nil || t.client == other.client)
}

// nodeBatch are those keys of a request that go to one server.
type nodeBatch struct {
	indexes []int // of the keys in the request
	Target
}

// ByNode groups keys by their node. One pipeline per node can't be held up by another node that doesn't answer.
func (c *Conn) ByNode(ctx context.Context, keys []string) ([]nodeBatch, error) {
	cluster, ok := c.Client.(*redis.ClusterClient)
	if !ok {
		return []nodeBatch{{upTo(len(keys)), Target{c.Client, c.Nodes.Only}}}, nil
	}
	nodes := &c.Nodes
	if nodes.Located.Load() {
		return c.groupByNode(ctx, cluster, keys) // which sends nothing
	}
	if err := nodes.ClusterBreaker.Err("cluster"); err != nil {
		return nil, err
	}
	began := mono.Now()
	batches, err := Call(ctx, c, "cluster", nil, func(ctx context.Context) ([]nodeBatch, error) {
		batches, err := c.groupByNode(ctx, cluster, keys)
		return batches, unwrapOnce(err)
	})
	nodes.ClusterBreaker.Report(ctx, nil, began, err)
	if err == nil {
		nodes.Located.Store(true)
	}
	return batches, err
}

func (c *Conn) groupByNode(ctx context.Context, cluster *redis.ClusterClient, keys []string) (batches []nodeBatch, err error) {
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
			batches = append(batches, nodeBatch{Target: c.targetOf(cluster, node, key)})
		}
		batches[at].indexes = append(batches[at].indexes, i)
	}
	return batches, nil
}

// target returns the server of one key; false: to find it, something has to be sent.
func (c *Conn) target(ctx context.Context, key string) (Target, bool) {
	cluster, ok := c.Client.(*redis.ClusterClient)
	if !ok {
		return Target{c.Client, c.Nodes.Only}, true
	}
	if !c.Nodes.Located.Load() {
		return Target{}, false
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return Target{}, false
	}
	return c.targetOf(cluster, node, key), true
}

func (c *Conn) targetOf(cluster *redis.ClusterClient, node *redis.Client, key string) Target {
	n := c.NodeOf(cluster, node.Options().Addr, key)
	if c.Nodes.Find == nil {
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
	for _, nb := range batches[1:] {
		others.Go(func() { f(nb) })
	}
	f(batches[0])
	others.Wait()
}
