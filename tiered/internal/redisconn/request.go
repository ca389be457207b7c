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
	Name    string // for errors
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
func (a *Reply) Bytes() ([]byte, bool) {
	if cmd, ok := a.Value.(*redis.StringCmd); ok {
		b, err := cmd.Bytes()
		return b, err == nil // else it is redis.Nil
	}
	s, ok := a.Value.(string)
	return unsafe.Slice(unsafe.StringData(s), len(s)), ok // go-redis makes the string of a buffer that it doesn't keep
}

// Failed returns the replies of a call that failed as a whole.
func Failed(n int, err error, f *coherence.Feed) []Reply {
	return slices.Repeat([]Reply{{Err: err, Feed: f, Validity: coherence.Never}}, n)
}

// FirstError returns the first error of a request.
func FirstError(replies []Reply) error {
	for _, a := range replies {
		if a.Err != nil {
			return a.Err
		}
	}
	return nil
}

// Gets is the request for the values of the keys.
func (r *Conn) Gets(keys []string) Request {
	return Request{Name: "get", Keys: keys, Bulk: true, Values: true, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return to.Get(ctx, keys[i])
	}}
}

// Do makes a request, with one round trip for each node of a Cluster and each chunk. It returns a reply for each key.
func (r *Conn) Do(ctx context.Context, q Request) []Reply {
	replies := make([]Reply, len(q.Keys))
	calls := newCallCount(q.Ended)
	defer calls.done()
	var batches []nodeBatch
	var err error
	if len(q.Keys) > 0 {
		if batches, err = r.ByNode(ctx, q.Keys); err != nil {
			copy(replies, Failed(len(q.Keys), err, r.Nodes.Any()))
		}
	}
	fill := func(b nodeBatch, got []Reply) {
		for n, i := range b.places {
			replies[i] = got[n]
		}
	}
	batches = slices.DeleteFunc(batches, func(b nodeBatch) bool {
		err := b.Breaker.Err(q.Name)
		if err != nil {
			fill(b, Failed(len(b.places), err, b.Feed))
		}
		return err != nil
	})
	if len(batches) > 0 {
		eachBatch(batches, func(b nodeBatch) { fill(b, r.doBatch(ctx, q, b, calls)) })
	}
	return replies
}

// call makes the part of a request that goes to one server as one call.
func (r *Conn) call(ctx context.Context, q Request, b nodeBatch, ended func()) ([]Reply, outcome) {
	type result struct {
		replies []Reply
		err     error // the server's
	}
	began := mono.Now()
	o := CallOptions{Name: q.Name, Ended: ended}
	if len(b.places) > 1 || q.bytes(b.places[0]) >= largeValue {
		o.Moving = &b.Target
	}
	got, err := Run(ctx, r, o, func(ctx context.Context) (result, error) {
		replies, err := r.send(ctx, q, b)
		return result{replies, err}, nil
	})
	if err != nil {
		got = result{Failed(len(b.places), err, b.Feed), err}
	}
	b.Report(ctx, began, got.err)
	r.Refusals.Note(b.Breaker.Addr, q.Name, got.replies)
	switch {
	case !r.Unanswered(got.err):
		return got.replies, wasAnswered
	case b.Breaker.answeredSince(began), len(b.places) == 1: // a single value may be too large, and the breaker notices an outage
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
func (r *Conn) send(ctx context.Context, q Request, b nodeBatch) (replies []Reply, err error) {
	// Taken before anything is read. If it doesn't hold now, this client may talk to another server than the stream does.
	v := b.Feed.Validity()
	if !v.Holds(mono.Now()) {
		v = coherence.Never
	}
	replies = r.sendTo(ctx, b.to, q, b.places)
	var moved []int // indexes of replies
	unanswered := 0
	for n := range replies {
		replies[n].Feed, replies[n].Validity = b.Feed, v
		err := replies[n].Err
		if err == nil {
			continue
		}
		if r.Unanswered(err) {
			unanswered++
		}
		r.NoteError(b.Target, q.Name, err)
		if r.Nodes.Find != nil && elsewhere(err) {
			moved = append(moved, n)
		}
	}
	if unanswered == len(replies) {
		err = replies[0].Err
	}
	if len(moved) > 0 {
		again := make([]int, len(moved))
		for at, n := range moved {
			again[at] = b.places[n]
		}
		for at, a := range r.sendAnywhere(ctx, q, again) {
			replies[moved[at]] = a
		}
	}
	return replies, err
}

// sendAnywhere lets the client find the node. What is read there has no validity.
func (r *Conn) sendAnywhere(ctx context.Context, q Request, places []int) []Reply {
	replies := r.sendTo(ctx, r.Client, q, places)
	for i := range replies {
		replies[i].Feed, replies[i].Validity = r.Nodes.Any(), coherence.Never
	}
	return replies
}

// sendTo sends one command, a pipeline, or an MGET.
func (r *Conn) sendTo(ctx context.Context, to redis.Cmdable, q Request, places []int) []Reply {
	if q.Bulk && len(places) > 1 && r.canMGet() {
		if replies, ok := r.mget(ctx, to, q, places); ok {
			return replies
		}
	}
	var cmds []redis.Cmder
	if len(places) == 1 {
		cmds = []redis.Cmder{q.Command(ctx, to, places[0])}
	} else {
		cmds, _ = to.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its own error
			for _, i := range places {
				q.Command(ctx, pipe, i)
			}
			return nil
		})
	}
	replies := make([]Reply, len(places))
	for n, cmd := range cmds {
		replies[n].Value = cmd
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			replies[n].Err = callError(q.Name, err)
		}
	}
	return replies
}

// canMGet reports whether one server has all keys, and hasn't refused MGET.
func (r *Conn) canMGet() bool {
	_, single := r.Client.(*redis.Client)
	return single && !r.noMGet.Load()
}

// mget reads the keys with one command; false: they have to be read one by one. A server that is a whole Cluster behind one
// address has all keys, but lets no command have those of two slots.
func (r *Conn) mget(ctx context.Context, to redis.Cmdable, q Request, places []int) ([]Reply, bool) {
	keys := q.Keys
	if len(keys) != len(places) {
		keys = make([]string, len(places))
		for n, i := range places {
			keys[n] = q.Keys[i]
		}
	}
	cmd := to.MGet(ctx, keys...)
	err := cmd.Err()
	if c := classify(err); c.isLack() || c == crossSlot {
		r.noMGet.Store(true)
		return nil, false
	}
	replies := make([]Reply, len(places))
	for n := range replies {
		if err == nil {
			replies[n].Value = cmd.Val()[n]
		} else {
			replies[n].Err = callError(q.Name, err)
		}
	}
	return replies, true
}
