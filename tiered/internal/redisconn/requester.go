package redisconn

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// requester sends requests to the servers, and notes what their replies say about them.
//
// This is where a reply gets its Validity: that of the server's stream before the command is sent. If the stream
// connects again meanwhile, the reply has the validity that has ended, since the stream may have missed a change of
// the value. If the validity doesn't hold when it is taken, the reply gets Never instead, which can't be extended:
// the stream may be connected to another server than this client. So does a reply to a cache whose name the stream
// doesn't report yet.
//
// In a Cluster with a stream for each master, commands go to the client of the key's node, which follows no
// redirection. So the reply is from the server whose Feed it has. Commands that the node can't carry out, because it
// has lost the slot, say, are then sent through the Cluster's client, which follows redirections. What is read there
// has no validity. With one stream for all nodes commands go through the Cluster's client at once.
//
// Many GETs of one server are an MGET. It costs less than a pipeline of GETs on both sides, but takes a value of
// another type for none. Request.Bulk says that the caller accepts this. Only the client of one server sends an MGET:
// in a Cluster the keys of a server are in many slots.
type requester struct {
	*Caller
	Nodes        Nodes
	Refusals     refusals
	Capabilities capabilities
	noMGet       atomic.Bool // the server doesn't have MGET, or not for this user or for keys of several slots
	noInsert     atomic.Bool // a server doesn't have the command for Request.Insert, or refused it for another reason that may stay
}

// send makes a request's commands for the keys of one server. The error is that of a server that didn't answer, though
// another may have.
func (r *requester) send(ctx context.Context, q *Request, nb nodeBatch) (replies []Reply, err error) {
	// Taken before anything is read. If it doesn't hold now, this client may talk to another server than the stream does.
	at, v := mono.Now(), nb.Feed.Validity()
	if !v.Holds(at) {
		v = coherence.Never
	}
	reported := reportedKeys{prefix: r.Prefix, names: nb.Feed.Reported()}
	if nb.Feed.Watch != nil && v != coherence.Never {
		v = r.watched(ctx, q, nb, v, at)
	}
	replies = r.sendTo(ctx, nb.client, q, nb.indexes)
	var moved []int // indexes of replies
	unanswered := 0
	for n := range replies {
		replies[n].Feed, replies[n].Validity = nb.Feed, v
		if !reported.has(q.Keys[nb.indexes[n]]) {
			replies[n].Validity = coherence.Never
		}
		err := replies[n].Err
		if err == nil {
			continue
		}
		if r.Unanswered(err) {
			unanswered++
		}
		r.Capabilities.noteError(nb.Breaker.Addr, q.Name, err)
		if r.Nodes.Find != nil && mayRetryElsewhere(err) {
			moved = append(moved, n)
		}
	}
	if unanswered == len(replies) {
		err = replies[0].Err
	}
	if len(moved) > 0 {
		r.retryElsewhere(ctx, q, nb, replies, moved)
	}
	return replies, err
}

// watched returns the validity of the replies of a server that reports only keys that it was asked about. It has the server report those
// that the caller keeps. All other replies are valid only for as long as a local hit may be behind Redis.
func (r *requester) watched(ctx context.Context, q *Request, nb nodeBatch, v *coherence.Validity, at mono.Instant) *coherence.Validity {
	if q.Kept == nil {
		return coherence.NewValidity(at.Add(r.MaxAge()))
	}
	var keys []string
	for _, i := range nb.indexes {
		keys = append(keys, q.Kept(i)...)
	}
	if !nb.Feed.Watch(ctx, keys) {
		return coherence.Never
	}
	return v
}

// reportedKeys tells the keys whose changes a stream reports.
type reportedKeys struct {
	prefix string // of all keys
	names  coherence.Names
	last   string // what begins keys of the last name that was found among them; "": none was
}

func (k *reportedKeys) has(key string) bool {
	if k.last != "" && strings.HasPrefix(key, k.last) {
		return true
	}
	name, rest := wire.CutName(k.prefix, key)
	if !k.names.Has(name) {
		return false
	}
	if name != "" {
		k.last = key[:len(key)-len(rest)+1]
	}
	return true
}

// retryElsewhere replaces some replies of a batch: the client finds the node. What is read there has no validity.
func (r *requester) retryElsewhere(ctx context.Context, q *Request, nb nodeBatch, replies []Reply, moved []int) {
	indexes := make([]int, len(moved))
	for at, n := range moved {
		indexes[at] = nb.indexes[n]
	}
	for at, reply := range r.sendTo(ctx, r.Client, q, indexes) {
		reply.Feed, reply.Validity = r.Nodes.AnyFeed(), coherence.Never
		replies[moved[at]] = reply
	}
}

// sendTo sends one command, a pipeline, or an MGET.
func (r *requester) sendTo(ctx context.Context, to redis.Cmdable, q *Request, indexes []int) []Reply {
	if q.Bulk && len(indexes) > 1 && r.canMGet() {
		if replies, ok := r.mget(ctx, to, q, indexes); ok {
			return replies
		}
	}
	replies := make([]Reply, len(indexes))
	if len(indexes) == 1 {
		replies[0] = q.reply(r.sendOne(ctx, to, q, indexes[0]))
		return replies
	}
	cmds, _ := to.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its own error
		for _, i := range indexes {
			q.command(ctx, pipe, i)
		}
		return nil
	})
	for n, cmd := range cmds {
		replies[n] = q.reply(cmd)
	}
	return replies
}

// sendOne sends the command of one key, and with an Insert the one that sets it if the server takes that.
func (r *requester) sendOne(ctx context.Context, to redis.Cmdable, q *Request, i int) redis.Cmder {
	if q.Insert == nil || r.noInsert.Load() || r.Refusals.any.Load() {
		return q.command(ctx, to, i)
	}
	cmd, cl := q.insert(ctx, to)
	if !cl.isRefusal() {
		return cmd
	}
	if !cl.traits().temporary && cl != noPermission { // a right may be given back
		r.noInsert.Store(true)
	}
	return q.command(ctx, to, i)
}

// canMGet reports whether one server has all keys, and hasn't refused MGET.
func (r *requester) canMGet() bool {
	_, single := r.Client.(*redis.Client)
	return single && !r.noMGet.Load()
}

// mget reads the keys with one command; false: they have to be read one by one. A server that is a whole Cluster behind one
// address has all keys, but lets no command have those of two slots.
func (r *requester) mget(ctx context.Context, to redis.Cmdable, q *Request, indexes []int) ([]Reply, bool) {
	batch := nodeBatch{indexes: indexes}
	cmd := to.MGet(ctx, batch.keys(q.Keys)...)
	err := cmd.Err()
	if cl := classify(err); cl.isMissing() || cl == crossSlot {
		r.noMGet.Store(true)
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
