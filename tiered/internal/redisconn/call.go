package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// ErrClosed is the error of a call after Close.
var ErrClosed = errors.New("tiered: closed")

// Call calls f in a goroutine of its own, so that Call can return when Timeout is over or ctx ends: go-redis regards neither
// unless its ContextTimeoutEnabled is set. The name is for errors. The function ended is called when f has returned, which may
// be after Call has; it may be nil.
//
// What Call doesn't wait for any more goes on in its goroutine until go-redis returns, and may be executed by Redis.
// The goroutine is counted by Calls, so Close waits for it, though not for long. For the breaker its error is that of
// a call that wasn't answered.
func Call[R any](ctx context.Context, c *Caller, name string, ended func(), f func(context.Context) (R, error)) (R, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	results, err := begin(ctx, c, ended, f)
	if err != nil {
		var none R
		return none, err
	}
	select {
	case got := <-results:
		return got.of(name)
	case <-ctx.Done():
		return latest(ctx, name, results)
	}
}

// result is what the function of a call returned.
type result[R any] struct {
	value R
	err   error
}

// of returns the result of the call of that name.
func (r result[R]) of(name string) (R, error) {
	if r.err != nil && !errors.Is(r.err, redis.Nil) {
		var none R
		return none, callError(name, r.err)
	}
	return r.value, r.err
}

// latest returns the result of a call that isn't waited for any longer: an error, unless the result arrived just now.
func latest[R any](ctx context.Context, name string, results <-chan result[R]) (R, error) {
	select {
	case got := <-results:
		return got.of(name)
	default:
		return result[R]{err: cmp.Or(ctx.Err(), context.DeadlineExceeded)}.of(name)
	}
}

// begin calls f in a goroutine of its own. The channel gets its result.
func begin[R any](ctx context.Context, c *Caller, ended func(), f func(context.Context) (R, error)) (<-chan result[R], error) {
	if ended == nil {
		ended = func() {}
	}
	if !c.Calls.Begin() {
		ended()
		return nil, ErrClosed
	}
	results := make(chan result[R], 1)
	go run(ctx, c, ended, f, results)
	return results, nil
}

// run sends the result of f, also if f panics or ends its goroutine, which Calls has begun.
func run[R any](ctx context.Context, c *Caller, ended func(), f func(context.Context) (R, error), results chan<- result[R]) {
	defer c.Calls.End()
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
