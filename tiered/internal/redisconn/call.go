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

// MaxTimeouts is how many Timeouts a call may take that moves much, as long as the server answers other calls meanwhile. With
// the default options go-redis itself waits longer.
const MaxTimeouts = 8

// ErrClosed is the error of a call after Close.
var ErrClosed = errors.New("tiered: closed")

// CallOptions is what a call is besides its function.
type CallOptions struct {
	Name  string  // for errors
	Ended func()  // called when the call has ended, which may be after it returned; nil: nothing is
	Large *Target // set for a call that moves much: it may take MaxTimeouts while this server answers others
}

// Call is Run with a name, and ended, which may be nil.
func Call[R any](ctx context.Context, c *Conn, name string, ended func(), f func(context.Context) (R, error)) (R, error) {
	return CallWith(ctx, c, CallOptions{Name: name, Ended: ended}, f)
}

// CallWith runs f in a goroutine of its own, so that it can return when the time is over or ctx ends: go-redis regards neither
// unless its ContextTimeoutEnabled is set.
func CallWith[R any](ctx context.Context, c *Conn, o CallOptions, f func(context.Context) (R, error)) (R, error) {
	type result struct {
		value R
		err   error
	}
	var none R
	if o.Ended == nil {
		o.Ended = func() {}
	}
	limit := c.Timeout
	if o.Large != nil {
		limit = mono.Times(MaxTimeouts, limit)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	results := make(chan result, 1)
	begun := c.Calls.Go(func() {
		defer cancel()
		got := result{err: errExited}
		defer func() {
			o.Ended() // before the caller, which may go on at once, has the result
			results <- got
		}()
		got.err = c.CatchPanics(func() (err error) {
			got.value, err = f(ctx)
			return err
		})
	})
	if !begun {
		cancel()
		o.Ended()
		return none, ErrClosed
	}
	got, arrived := await(ctx, c, o.Large, results)
	if !arrived {
		got.err = cmp.Or(ctx.Err(), context.DeadlineExceeded)
		cancel()
	}
	if got.err != nil && !errors.Is(got.err, redis.Nil) {
		return none, callError(o.Name, got.err)
	}
	return got.value, got.err
}

// callError is the error of a call, or of one that wasn't made.
func callError(name string, err error) error { return fmt.Errorf("tiered: redis: %s: %w", name, err) }

// await returns a call's result, or false if ctx ends first or the server of a call that moves much answers nothing.
func await[R any](ctx context.Context, c *Conn, moving *Target, results <-chan R) (got R, arrived bool) {
	if moving != nil {
		got, arrived = awaitLarge(ctx, c, moving, results)
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

// awaitLarge waits for longer than Timeout, as long as the server answers other calls: what is read or written may be large,
// or Redis busy. It returns false if ctx ends, or nothing was answered.
func awaitLarge[R any](ctx context.Context, c *Conn, t *Target, results <-chan R) (got R, arrived bool) {
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
		case !waited && t.Breaker.probing.Load(): // the small call has its own Timeout
			waited = true
			timer.Reset(early)
		default:
			return got, false
		}
	}
}

// WaitUntil returns when wait does, or when ctx ends. In the second case wait goes on in the background.
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
