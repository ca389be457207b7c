package tiered

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// conn is the servers of one Redis, as the caches' requests go to them.
type conn struct {
	client    redis.UniversalClient
	prefix    string
	timeout   time.Duration
	heartbeat time.Duration
	logger    *slog.Logger
	id        string // tells this Redis object from all others

	life    context.Context // ends with the Redis object
	started atomic.Bool     // NewRedis has returned, or is about to
	calls   lifetime
	nodes   nodes

	clock     redisClock
	noMGet    atomic.Bool // the server doesn't do it, or not for this user or keys of several slots
	refusals  refusals
	pipelines pipelines
	rights    rights
	panics    panics

	// needs queues the commands that the invalidations need.
	needs func(ctx context.Context, p redis.Pipeliner)
	// publish tells the other processes of changed keys; nil: they hear of them by themselves.
	publish func(ctx context.Context, keys []string) error
	// switched is told that a server isn't asked any more, or with a nil cause that it is again.
	switched func(addr string, cause error)
}

// tell tells the other processes of changed keys, where they don't hear of them by themselves.
func (r *conn) tell(ctx context.Context, keys []string) error {
	if r.publish == nil {
		return nil
	}
	return r.publish(ctx, keys)
}

// ErrClosed is the error of a call after Close.
var errClosed = errors.New("tiered: closed")

// newConn makes a conn. Its nodes have to be set before it is used.
func newConn(client redis.UniversalClient, prefix string, timeout, heartbeat time.Duration, logger *slog.Logger) *conn {
	r := &conn{client: client, prefix: prefix, timeout: timeout, heartbeat: heartbeat, logger: logger, id: randomID()}
	r.refusals.logger, r.refusals.lasts = logger, mono.Times(2, r.maxAge())
	return r
}

// maxAge is how old what a proof vouches for can be.
func (r *conn) maxAge() time.Duration { return mono.Sum(r.heartbeat, r.timeout) }

// side is what begins the keys and channels that aren't a cache's. No key of a cache begins with it.
func (r *conn) side() string { return wire.ControlPrefix(r.prefix) }

// errand is what a call is besides what it does.
type errand struct {
	name   string  // for errors
	ended  func()  // called when the call has ended, which may be later than it returns; nil: nothing is
	moving *server // of a call that moves much, and may take longer than Timeout while this server answers others; nil: it may not
}

// call runs one call in a goroutine, so as to return when the time is over or ctx ends: go-redis itself heeds neither
// unless its ContextTimeoutEnabled is set. ended, if not nil, is called when the call has ended, which may be later.
func call[R any](ctx context.Context, r *conn, name string, ended func(), f func(context.Context) (R, error)) (R, error) {
	return run(ctx, r, errand{name: name, ended: ended}, f)
}

// run is call for an errand.
func run[R any](ctx context.Context, r *conn, e errand, f func(context.Context) (R, error)) (R, error) {
	type reply struct {
		result R
		err    error
	}
	var none R
	if e.ended == nil {
		e.ended = func() {}
	}
	if !r.calls.begin() {
		e.ended()
		return none, errClosed
	}
	limit := r.timeout
	if e.moving != nil {
		limit = mono.Times(patience, limit)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	replies := make(chan reply, 1)
	go func() {
		defer r.calls.end()
		defer cancel()
		got := reply{err: errExited}
		defer func() {
			e.ended() // before the caller hears of it, who may go on at once
			replies <- got
		}()
		got.err = r.guarded(func() (err error) {
			got.result, err = f(ctx)
			return err
		})
	}()
	var got reply
	arrived := false
	if e.moving != nil {
		got, arrived = patiently(ctx, r, e.moving, replies)
	} else {
		select {
		case got = <-replies:
			arrived = true
		case <-ctx.Done():
		}
	}
	if !arrived {
		select {
		case got = <-replies:
		default:
			got.err = cmp.Or(ctx.Err(), context.DeadlineExceeded)
			cancel()
		}
	}
	if got.err != nil && !errors.Is(got.err, redis.Nil) {
		return none, fmt.Errorf("tiered: redis: %s: %w", e.name, got.err)
	}
	return got.result, got.err
}

// awaitUntil returns when wait has, or ctx ends. What wait waits for ends by itself then, and wait with it.
func awaitUntil(ctx context.Context, wait func()) {
	done := make(chan struct{})
	go func() {
		wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// addrOf is what the client's server is called.
func addrOf(client redis.UniversalClient) string {
	if c, ok := client.(*redis.Client); ok {
		return c.Options().Addr
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", client), "*redis.")
}

func randomID() string {
	id := make([]byte, wire.SenderLen/2)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}
