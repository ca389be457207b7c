package redisconn

import (
	"context"
	"errors"
	"slices"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Request is one command for each of some keys.
type Request struct {
	Name    string // in errors, and the step by which refusals are counted: two requests of one name clear each other's refusal
	Keys    []string
	Command func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder
	Ended   func()          // nil, or called when nothing more of the request can reach Redis from here
	Bulk    bool            // the commands are GETs, and one MGET may replace them: a value of another type then counts as none
	Values  bool            // the replies may be large
	Size    func(i int) int // nil, or about how many bytes the command sends beside the key
}

// Reply is the result of one command.
type Reply struct {
	Value    any                 // the command; after an MGET a string, or nil for no value; nil if the call failed
	Err      error               // of the call or the command; that there is no value is no error
	Feed     *coherence.Feed     // of the server that answered
	Validity *coherence.Validity // of what was read
}

// Bytes returns the value that was read; false: there is none. The bytes are the caller's own.
func (r *Reply) Bytes() ([]byte, bool) {
	if cmd, ok := r.Value.(*redis.StringCmd); ok {
		b, err := cmd.Bytes()
		return b, err == nil // else it is redis.Nil
	}
	s, ok := r.Value.(string)
	return unsafe.Slice(unsafe.StringData(s), len(s)), ok // go-redis makes the string of a buffer that it doesn't keep
}

// Failed returns the replies of a call that failed as a whole.
func Failed(n int, err error, f *coherence.Feed) []Reply {
	return slices.Repeat([]Reply{{Err: err, Feed: f, Validity: coherence.Never}}, n)
}

// FirstError returns the first error of a request.
func FirstError(replies []Reply) error {
	for _, r := range replies {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

// Gets is the request for the values of the keys.
func (c *Conn) Gets(keys []string) Request {
	return Request{Name: "get", Keys: keys, Bulk: true, Values: true, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return to.Get(ctx, keys[i])
	}}
}

// Do makes a request, with one round trip for each node of a Cluster and each chunk. It returns a reply for each key.
func (c *Conn) Do(ctx context.Context, q Request) []Reply {
	replies := make([]Reply, len(q.Keys))
	calls := newCallCount(q.Ended)
	defer calls.done()
	var batches []nodeBatch
	var err error
	if len(q.Keys) > 0 {
		if batches, err = c.batches(ctx, q.Keys); err != nil {
			copy(replies, Failed(len(q.Keys), err, c.Nodes.AnyFeed()))
		}
	}
	fill := func(nb nodeBatch, got []Reply) {
		for n, i := range nb.indexes {
			replies[i] = got[n]
		}
	}
	batches = slices.DeleteFunc(batches, func(nb nodeBatch) bool {
		err := nb.Breaker.Err(q.Name)
		if err != nil {
			fill(nb, Failed(len(nb.indexes), err, nb.Feed))
		}
		return err != nil
	})
	if len(batches) > 0 {
		eachBatch(batches, func(nb nodeBatch) { fill(nb, c.doBatch(ctx, q, nb, calls)) })
	}
	return replies
}

// callBatch makes the part of a request that goes to one server as one call.
func (c *Conn) callBatch(ctx context.Context, q Request, nb nodeBatch, ended func()) ([]Reply, outcome) {
	type result struct {
		replies []Reply
		err     error // the server's
	}
	began := mono.Now()
	o := callOptions{name: q.Name, ended: ended}
	if len(nb.indexes) > 1 || q.bytes(nb.indexes[0]) >= largeValue {
		o.large = &nb.target
	}
	got, err := call(ctx, c, o, func(ctx context.Context) (result, error) {
		replies, err := c.send(ctx, q, nb)
		return result{replies, err}, nil
	})
	if err != nil {
		got = result{Failed(len(nb.indexes), err, nb.Feed), err}
	}
	nb.report(ctx, began, got.err)
	c.Refusals.note(nb.Breaker.Addr, q.Name, got.replies)
	switch {
	case !c.Unanswered(got.err):
		return got.replies, wasAnswered
	case nb.Breaker.answeredSince(began), len(nb.indexes) == 1: // a single value may be too large, and the breaker notices an outage
		return got.replies, wasLate
	}
	for i := range got.replies {
		if got.replies[i].Err != nil {
			got.replies[i].Err = &unresponsiveError{got.replies[i].Err}
		}
	}
	return got.replies, wasUnresponsive
}

// send makes a request's commands for the keys of one server. The error is that of a server that didn't answer, though
// another may have.
func (c *Conn) send(ctx context.Context, q Request, nb nodeBatch) (replies []Reply, err error) {
	// Taken before anything is read. If it doesn't hold now, this client may talk to another server than the stream does.
	v := nb.Feed.Validity()
	if !v.Holds(mono.Now()) {
		v = coherence.Never
	}
	replies = c.sendTo(ctx, nb.client, q, nb.indexes)
	var moved []int // indexes of replies
	unanswered := 0
	for n := range replies {
		replies[n].Feed, replies[n].Validity = nb.Feed, v
		err := replies[n].Err
		if err == nil {
			continue
		}
		if c.Unanswered(err) {
			unanswered++
		}
		c.noteError(nb.target, q.Name, err)
		if c.Nodes.Find != nil && mayRetryElsewhere(err) {
			moved = append(moved, n)
		}
	}
	if unanswered == len(replies) {
		err = replies[0].Err
	}
	if len(moved) > 0 {
		c.retryElsewhere(ctx, q, nb, replies, moved)
	}
	return replies, err
}

// retryElsewhere replaces some replies of a batch: the client finds the node. What is read there has no validity.
func (c *Conn) retryElsewhere(ctx context.Context, q Request, nb nodeBatch, replies []Reply, moved []int) {
	indexes := make([]int, len(moved))
	for at, n := range moved {
		indexes[at] = nb.indexes[n]
	}
	for at, reply := range c.sendTo(ctx, c.Client, q, indexes) {
		reply.Feed, reply.Validity = c.Nodes.AnyFeed(), coherence.Never
		replies[moved[at]] = reply
	}
}

// sendTo sends one command, a pipeline, or an MGET.
func (c *Conn) sendTo(ctx context.Context, to redis.Cmdable, q Request, indexes []int) []Reply {
	if q.Bulk && len(indexes) > 1 && c.canMGet() {
		if replies, ok := c.mget(ctx, to, q, indexes); ok {
			return replies
		}
	}
	var cmds []redis.Cmder
	if len(indexes) == 1 {
		cmds = []redis.Cmder{q.Command(ctx, to, indexes[0])}
	} else {
		cmds, _ = to.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its own error
			for _, i := range indexes {
				q.Command(ctx, pipe, i)
			}
			return nil
		})
	}
	replies := make([]Reply, len(indexes))
	for n, cmd := range cmds {
		replies[n].Value = cmd
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			replies[n].Err = callError(q.Name, err)
		}
	}
	return replies
}

// canMGet reports whether one server has all keys, and hasn't refused MGET.
func (c *Conn) canMGet() bool {
	_, single := c.Client.(*redis.Client)
	return single && !c.noMGet.Load()
}

// mget reads the keys with one command; false: they have to be read one by one. A server that is a whole Cluster behind one
// address has all keys, but lets no command have those of two slots.
func (c *Conn) mget(ctx context.Context, to redis.Cmdable, q Request, indexes []int) ([]Reply, bool) {
	batch := nodeBatch{indexes: indexes}
	cmd := to.MGet(ctx, batch.keys(q.Keys)...)
	err := cmd.Err()
	if cl := classify(err); cl.isMissing() || cl == crossSlot {
		c.noMGet.Store(true)
		return nil, false
	}
	replies := make([]Reply, len(indexes))
	for n := range replies {
		if err == nil {
			replies[n].Value = cmd.Val()[n]
		} else {
			replies[n].Err = callError(q.Name, err)
		}
	}
	return replies, true
}
