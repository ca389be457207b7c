package remote

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/values"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Options are what a Tier is made of. All fields but Trace must be set.
type Options[T any] struct {
	Conn        *redisconn.Conn
	Name        string // the cache's
	Values      *values.Funcs[T]
	CountErrors func([]redisconn.Reply)              // gets the replies of all requests but those of replays
	Report      func(message, key string, err error) // of a value that can't be decoded
	Trace       *redisconn.Trace                     // gets the calls; nil: none does
}

// Tier is a cache's Redis tier.
type Tier[T any] struct {
	Conn *redisconn.Conn
	Keys wire.Keys

	reads       *redisconn.Session // of callers, which Abandon ends
	jobReads    *redisconn.Session
	trace       *redisconn.Trace
	values      *values.Funcs[T]
	countErrors func([]redisconn.Reply)
	report      func(message, key string, err error)
}

// New returns a Redis tier.
func New[T any](o Options[T]) *Tier[T] {
	return &Tier[T]{
		Conn: o.Conn, Keys: wire.NewKeys(o.Conn.Prefix, o.Name), reads: &redisconn.Session{Trace: o.Trace}, jobReads: &redisconn.Session{Trace: o.Trace},
		trace: o.Trace, values: o.Values, countErrors: o.CountErrors, report: o.Report,
	}
}

// Failed returns the replies to a call for n keys that isn't made, because of err.
func (t *Tier[T]) Failed(n int, err error) []redisconn.Reply {
	return redisconn.Failed(n, err, t.Conn.Nodes.AnyFeed())
}

// Unsent is Failed for a call that was to be made, and counts the errors.
func (t *Tier[T]) Unsent(n int, err error) []redisconn.Reply {
	replies := t.Failed(n, err)
	t.countErrors(replies)
	return replies
}

// redisKeys returns Redis's keys of the values.
func (t *Tier[T]) redisKeys(keys []string) []string {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = t.Keys.Value(key)
	}
	return all
}

// request returns a request of one command per key.
func (t *Tier[T]) request(name string, keys []string, command func(ctx context.Context, to redis.Cmdable, i int, key string) redis.Cmder) redisconn.Request {
	all := t.redisKeys(keys)
	return redisconn.Request{Name: name, Keys: all, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return command(ctx, to, i, all[i])
	}}
}

// do makes a request.
func (t *Tier[T]) do(ctx context.Context, q redisconn.Request) []redisconn.Reply {
	q.Trace = t.trace
	return t.Conn.Do(ctx, q)
}

// change makes a request that changes keys, and publishes the changes if the mode of invalidation needs that.
func (t *Tier[T]) change(ctx context.Context, q redisconn.Request) []redisconn.Reply {
	replies := t.do(ctx, q)
	t.countErrors(replies)
	if t.Conn.Publish == nil {
		return replies
	}
	var changed []string
	publishing := ctx
	for i, a := range replies {
		if !redisconn.NotSent(a.Err) {
			changed = append(changed, q.Keys[i])
		}
		if a.Err == nil {
			publishing = context.WithoutCancel(ctx) // ctx may be done because another master of a Cluster didn't answer in time
		}
	}
	if err := t.Conn.PublishChanges(publishing, changed); err != nil {
		for i := range replies {
			replies[i].Err = errors.Join(replies[i].Err, err)
		}
	}
	return replies
}
