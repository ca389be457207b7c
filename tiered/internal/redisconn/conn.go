package redisconn

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

// Conn is the servers of one Redis, as the caches' requests go to them.
type Conn struct {
	Client    redis.UniversalClient
	Prefix    string
	Timeout   time.Duration
	Heartbeat time.Duration
	Logger    *slog.Logger
	ID        string // tells this Redis object from all others

	Life    context.Context // ends with the Redis object
	Started atomic.Bool     // NewRedis has returned, or is about to
	Calls   Lifecycle
	Nodes   Nodes

	clock        clock
	noMGet       atomic.Bool // the server doesn't do it, or not for this user or keys of several slots
	Refusals     refusals
	batchers     batchers
	Capabilities capabilities
	panics       EventThrottle

	// Needs queues the commands that the invalidations need.
	Needs func(ctx context.Context, p redis.Pipeliner)
	// Publish tells the other processes of changed keys; nil: they hear of them by themselves.
	Publish func(ctx context.Context, keys []string) error
	// Switched is told that a server isn't asked any more, or with a nil cause that it is again.
	Switched func(addr string, cause error)
}

// Tell tells the other processes of changed keys, where they don't hear of them by themselves.
func (r *Conn) PublishChanges(ctx context.Context, keys []string) error {
	if r.Publish == nil {
		return nil
	}
	return r.Publish(ctx, keys)
}

// ErrClosed is the error of a call after Close.
var ErrClosed = errors.New("tiered: closed")

// New makes a conn. Its nodes have to be set before it is used.
func New(client redis.UniversalClient, prefix string, timeout, heartbeat time.Duration, logger *slog.Logger) *Conn {
	r := &Conn{Client: client, Prefix: prefix, Timeout: timeout, Heartbeat: heartbeat, Logger: logger, ID: randomID()}
	r.Refusals.logger, r.Refusals.lasts = logger, mono.Times(2, r.MaxAge())
	return r
}

// MaxAge is how old what a proof vouches for can be.
func (r *Conn) MaxAge() time.Duration { return mono.Sum(r.Heartbeat, r.Timeout) }

// ControlPrefix is what begins the keys and channels that aren't a cache's. No key of a cache begins with it.
func (r *Conn) ControlPrefix() string { return wire.ControlPrefix(r.Prefix) }

// CallOptions is what a call is besides what it does.
type CallOptions struct {
	Name   string  // for errors
	Ended  func()  // called when the call has ended, which may be later than it returns; nil: nothing is
	Moving *Target // of a call that moves much, and may take longer than Timeout while this server answers others; nil: it may not
}

// Call runs one call in a goroutine, so as to return when the time is over or ctx ends: go-redis itself heeds neither
// unless its ContextTimeoutEnabled is set. ended, if not nil, is called when the call has ended, which may be later.
func Call[R any](ctx context.Context, r *Conn, name string, ended func(), f func(context.Context) (R, error)) (R, error) {
	return Run(ctx, r, CallOptions{Name: name, Ended: ended}, f)
}

// Run is Call for an errand.
func Run[R any](ctx context.Context, r *Conn, e CallOptions, f func(context.Context) (R, error)) (R, error) {
	type reply struct {
		result R
		err    error
	}
	var none R
	if e.Ended == nil {
		e.Ended = func() {}
	}
	if !r.Calls.Begin() {
		e.Ended()
		return none, ErrClosed
	}
	limit := r.Timeout
	if e.Moving != nil {
		limit = mono.Times(MaxTimeouts, limit)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	replies := make(chan reply, 1)
	go func() {
		defer r.Calls.End()
		defer cancel()
		got := reply{err: errExited}
		defer func() {
			e.Ended() // before the caller hears of it, who may go on at once
			replies <- got
		}()
		got.err = r.Guard(func() (err error) {
			got.result, err = f(ctx)
			return err
		})
	}()
	var got reply
	arrived := false
	if e.Moving != nil {
		got, arrived = patiently(ctx, r, e.Moving, replies)
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
		return none, fmt.Errorf("tiered: redis: %s: %w", e.Name, got.err)
	}
	return got.result, got.err
}

// WaitUntil returns when wait has, or ctx ends. What wait waits for ends by itself then, and wait with it.
func WaitUntil(ctx context.Context, wait func()) {
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

// AddrOf is what the client's server is called.
func AddrOf(client redis.UniversalClient) string {
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
