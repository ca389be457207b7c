package redisconn

import (
	"context"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Do makes a request, with one round trip for each node of a Cluster and each chunk. It returns a reply for each key,
// in the order of the keys. Parts of a request fail by themselves: replies that arrived are returned beside the
// errors of a server that isn't asked, or of a chunk that was late. If the nodes of a Cluster can't be found, all
// keys have that error.
func (r *requester) Do(ctx context.Context, q Request) []Reply {
	calls := newCallCount(q.Ended)
	defer calls.done()
	if len(q.Keys) == 0 {
		return nil
	}
	if only := r.Nodes.Only; only != nil {
		return r.doUnlessOpen(ctx, &q, nodeBatch{upTo(len(q.Keys)), target{r.Client, only}}, calls)
	}
	batches, err := r.Nodes.batches(ctx, q.Keys)
	switch {
	case err != nil:
		return Failed(len(q.Keys), err, r.Nodes.AnyFeed())
	case len(batches) == 1: // with all keys, in their order
		return r.doUnlessOpen(ctx, &q, batches[0], calls)
	}
	return r.doAll(ctx, q, batches, calls)
}

// doAll makes a request for keys of several servers.
func (r *requester) doAll(ctx context.Context, q Request, batches []nodeBatch, calls *callCount) []Reply {
	replies := make([]Reply, len(q.Keys))
	eachBatch(batches, func(nb nodeBatch) {
		for n, reply := range r.doUnlessOpen(ctx, &q, nb, calls) {
			replies[nb.indexes[n]] = reply
		}
	})
	return replies
}

// doUnlessOpen makes the part of a request that goes to one server, unless the server isn't asked.
func (r *requester) doUnlessOpen(ctx context.Context, q *Request, nb nodeBatch, calls *callCount) []Reply {
	if err := nb.Breaker.Err(q.Name); err != nil {
		return Failed(len(nb.indexes), err, nb.Feed)
	}
	return r.doBatch(ctx, q, nb, calls)
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

// CallServer calls f, which sends commands to the server of the key. A large call sends much.
func (r *requester) CallServer(ctx context.Context, name, key string, large bool, f func(context.Context) error) error {
	batches, err := r.Nodes.batches(ctx, []string{key})
	if err != nil {
		return err
	}
	t := batches[0].target
	if err := t.Breaker.Err(name); err != nil {
		return err
	}
	send := workFunc[struct{}](func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	cl := new(call[struct{}])
	began := mono.Now()
	if large {
		_, err = cl.makeLarge(ctx, t, name, nil, send)
	} else {
		_, err = cl.make(ctx, r.Caller, name, nil, send)
	}
	t.report(ctx, began, err)
	if err != nil {
		r.Capabilities.noteError(t.Breaker.Addr, name, err)
	}
	r.Refusals.note(t.Breaker.Addr, name, []Reply{{Err: err}})
	return err
}
