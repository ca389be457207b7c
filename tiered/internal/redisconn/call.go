package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// MaxTimeouts is how many Timeouts a large call may take, as long as the server answers other calls meanwhile. With
// the default options go-redis itself waits longer.
const MaxTimeouts = 8

// ErrClosed is the error of a call after Close.
var ErrClosed = errors.New("tiered: closed")

// callOptions is what a call is besides its function.
type callOptions struct {
	name  string  // for errors
	ended func()  // called when the call has ended, which may be after it returned; nil: nothing is
	large *target // set for a call that sends or receives much: it may take MaxTimeouts while this server answers others
}

// CallServer calls f, which sends commands to the server of the key. A large call sends much.
func (c *Conn) CallServer(ctx context.Context, name, key string, large bool, f func(context.Context) error) error {
	batches, err := c.batches(ctx, []string{key})
	if err != nil {
		return err
	}
	t := batches[0].target
	if err := t.Breaker.Err(name); err != nil {
		return err
	}
	o := callOptions{name: name}
	if large {
		o.large = &t
	}
	began := mono.Now()
	_, err = call(ctx, c, o, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	t.report(ctx, began, err)
	if err != nil {
		c.noteError(t, name, err)
	}
	c.Refusals.note(t.Breaker.Addr, name, []Reply{{Err: err}})
	return err
}

// Call calls f in a goroutine of its own, so that Call can return when Timeout is over or ctx ends: go-redis regards neither
// unless its ContextTimeoutEnabled is set. The name is for errors. The function ended is called when f has returned, which may
// be after Call has; it may be nil.
func Call[R any](ctx context.Context, c *Conn, name string, ended func(), f func(context.Context) (R, error)) (R, error) {
	return call(ctx, c, callOptions{name: name, ended: ended}, f)
}

type result[R any] struct {
	value R
	err   error
}

func call[R any](ctx context.Context, c *Conn, o callOptions, f func(context.Context) (R, error)) (R, error) {
	if o.ended == nil {
		o.ended = func() {}
	}
	limit := c.Timeout
	if o.large != nil {
		limit = mono.Times(MaxTimeouts, limit)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var none R
	results := make(chan result[R], 1)
	if !c.Calls.Go(func() { run(ctx, c, o.ended, f, results) }) {
		o.ended()
		return none, ErrClosed
	}
	got, arrived := await(ctx, c, o.large, results)
	if !arrived {
		got.err = cmp.Or(ctx.Err(), context.DeadlineExceeded)
	}
	if got.err != nil && !errors.Is(got.err, redis.Nil) {
		return none, callError(o.name, got.err)
	}
	return got.value, got.err
}

// run sends the result of f, also if f panics or ends its goroutine.
func run[R any](ctx context.Context, c *Conn, ended func(), f func(context.Context) (R, error), results chan<- result[R]) {
	got := result[R]{err: errExited}
	defer func() {
		ended() // before the caller, which may go on at once, has the result
		results <- got
	}()
	got.err = c.CatchPanics(func() (err error) {
		got.value, err = f(ctx)
		return err
	})
}

// callError is the error of a call, or of one that wasn't made.
func callError(name string, err error) error { return fmt.Errorf("tiered: redis: %s: %w", name, err) }

// await returns a call's result, or false if ctx ends first or the server of a large call answers nothing.
func await[R any](ctx context.Context, c *Conn, large *target, results <-chan R) (got R, arrived bool) {
	if large != nil {
		got, arrived = awaitLarge(ctx, c, large, results)
	} else {
		select {
		case got = <-results:
			arrived = true
		case <-ctx.Done():
		}
	}
	if !arrived {
		select {
		case got = <-results: // it arrived just now
			arrived = true
		default:
		}
	}
	return got, arrived
}

// awaitLarge waits for longer than Timeout, as long as the server answers other calls: the values may be large, or Redis busy. It
// returns false if ctx ends, or the server answers nothing.
func awaitLarge[R any](ctx context.Context, c *Conn, t *target, results <-chan R) (got R, arrived bool) {
	early := c.Timeout / 4 // so that there is time to answer
	timer := time.NewTimer(early)
	defer timer.Stop()
	began := mono.Now()
	asked, waited := false, false
	for {
		select {
		case got = <-results:
			return got, true
		case <-ctx.Done():
			return got, false
		case <-timer.C:
		}
		switch {
		case !asked:
			t.Breaker.probeSoon(t.client)
			asked = true
			timer.Reset(c.Timeout - early)
		case t.Breaker.answeredSince(began):
			began, asked, waited = mono.Now(), false, false
			timer.Reset(early)
		case !waited && t.Breaker.probing.Load(): // the probe has a Timeout of its own
			waited = true
			timer.Reset(early)
		default:
			return got, false
		}
	}
}

// WaitUntil calls wait, and returns when it does, or when ctx ends. Then wait goes on in the background.
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
