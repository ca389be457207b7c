package redisconn

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// target is the server of some keys, and the client that reaches it.
type target struct {
	client redis.Cmdable
	*Node
}

// equal reports whether both have the same client of the same server. Where one stream serves all nodes there is one client,
// which may be of a type that can't be compared.
func (t *target) equal(other target) bool {
	return t.Node == other.Node && (t.Breaker.conn.Nodes.Find == nil || t.client == other.client)
}

// nodeBatch are those keys of a request that go to one server.
type nodeBatch struct {
	indexes []int // of the keys in the request
	target
}

// keys returns the batch's keys, of those of the request.
func (nb *nodeBatch) keys(all []string) []string {
	if len(nb.indexes) == len(all) {
		return all
	}
	keys := make([]string, len(nb.indexes))
	for n, i := range nb.indexes {
		keys[n] = all[i]
	}
	return keys
}

// batches groups the keys of a request by their server. One pipeline for each can't be held up by another server that doesn't
// answer. If the client hasn't found a Cluster's nodes yet, it asks for them.
func (c *Conn) batches(ctx context.Context, keys []string) ([]nodeBatch, error) {
	if c.located() {
		batches, err := c.group(ctx, keys)
		if err != nil {
			err = callError("cluster", err)
		}
		return batches, err
	}
	cluster := c.Nodes.ClusterBreaker
	if err := cluster.Err("cluster"); err != nil {
		return nil, err
	}
	began := mono.Now()
	batches, err := Call(ctx, c, "cluster", nil, func(ctx context.Context) ([]nodeBatch, error) {
		return c.group(ctx, keys)
	})
	cluster.Report(ctx, nil, began, err)
	if err == nil {
		c.Nodes.Located.Store(true)
	}
	return batches, err
}

// located reports whether group and targetOf send nothing.
func (c *Conn) located() bool { return c.Nodes.Only != nil || c.Nodes.Located.Load() }

func (c *Conn) group(ctx context.Context, keys []string) (batches []nodeBatch, err error) {
	if only := c.Nodes.Only; only != nil {
		return []nodeBatch{{upTo(len(keys)), target{c.Client, only}}}, nil
	}
	for i, key := range keys {
		t, err := c.targetOf(ctx, key)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(batches, func(nb nodeBatch) bool { return nb.equal(t) })
		if at < 0 {
			at, batches = len(batches), append(batches, nodeBatch{target: t})
		}
		batches[at].indexes = append(batches[at].indexes, i)
	}
	return batches, nil
}

// targetOf returns the server of a key.
func (c *Conn) targetOf(ctx context.Context, key string) (target, error) {
	cluster, ok := c.Client.(*redis.ClusterClient)
	if !ok {
		return target{c.Client, c.Nodes.Only}, nil
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return target{}, err
	}
	n := c.NodeOf(cluster, node.Options().Addr, key)
	if c.Nodes.Find == nil {
		return target{cluster, n}, nil // one stream serves all nodes: any of them may answer
	}
	return target{node, n}, nil
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
