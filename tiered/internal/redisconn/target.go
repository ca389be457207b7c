package redisconn

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// The client knows which node of a Cluster has a key, or rather had when it last looked. Here its node is mapped to
// the Node with the stream and the breaker. Where each master has a stream, a target's client is that of the node: so
// the breaker, the validity and the server that gets the command belong together, even if the Cluster changes
// meanwhile. Otherwise it is the Cluster's client.
//
// A client that hasn't found the nodes yet asks for them, which may take as long as any call. Until it has
// (Nodes.Located), that is a call with a Timeout, which the ClusterBreaker guards. From then on the client finds a
// node in memory, and no goroutine is needed.

// target is the server of some keys, and the client that reaches it.
type target struct {
	client redis.Cmdable
	*Node
}

// report takes the result of a call to the server. See [Breaker.Report].
func (t target) report(ctx context.Context, began mono.Instant, err error) {
	t.Breaker.Report(ctx, t.client, began, err)
}

// nodeBatch are those keys of a request that go to one server.
type nodeBatch struct {
	indexes []int // of the keys in the request
	target
}

// keys returns the batch's keys, of those of the request.
func (nb nodeBatch) keys(all []string) []string {
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
func (ns *Nodes) batches(ctx context.Context, keys []string) ([]nodeBatch, error) {
	if ns.located() {
		batches, err := ns.group(ctx, keys)
		if err != nil {
			err = callError("cluster", err)
		}
		return batches, err
	}
	cluster := ns.ClusterBreaker
	if err := cluster.Err("cluster"); err != nil {
		return nil, err
	}
	began := mono.Now()
	batches, err := Call(ctx, ns.caller, "cluster", nil, func(ctx context.Context) ([]nodeBatch, error) {
		return ns.group(ctx, keys)
	})
	cluster.Report(ctx, nil, began, err)
	if err == nil {
		ns.Located.Store(true)
	}
	return batches, err
}

// located reports whether group and targetOf send nothing.
func (ns *Nodes) located() bool { return ns.Only != nil || ns.Located.Load() }

func (ns *Nodes) group(ctx context.Context, keys []string) (batches []nodeBatch, err error) {
	if only := ns.Only; only != nil {
		return []nodeBatch{{upTo(len(keys)), target{ns.caller.Client, only}}}, nil
	}
	for i, key := range keys {
		t, err := ns.targetOf(ctx, key)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(batches, func(nb nodeBatch) bool { return ns.same(nb.target, t) })
		if at < 0 {
			at, batches = len(batches), append(batches, nodeBatch{target: t})
		}
		batches[at].indexes = append(batches[at].indexes, i)
	}
	return batches, nil
}

// same reports whether both have the same client of the same server. Where one stream serves all nodes there is one client,
// which may be of a type that can't be compared.
func (ns *Nodes) same(a, b target) bool {
	return a.Node == b.Node && (ns.Find == nil || a.client == b.client)
}

// targetOf returns the server of a key.
func (ns *Nodes) targetOf(ctx context.Context, key string) (target, error) {
	cluster, ok := ns.caller.Client.(*redis.ClusterClient)
	if !ok {
		return target{ns.caller.Client, ns.Only}, nil
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return target{}, err
	}
	n := ns.NodeOf(cluster, node.Options().Addr, key)
	if ns.Find == nil {
		return target{cluster, n}, nil // one stream serves all nodes: any of them may answer
	}
	return target{node, n}, nil
}

// first has the number 0.
var first = []int{0}

// upTo returns the numbers from 0 to n-1, which the caller must not change.
func upTo(n int) []int {
	if n == 1 {
		return first
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
