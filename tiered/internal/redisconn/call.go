package redisconn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrClosed is the error of a call after Close.
var ErrClosed = errors.New("tiered: closed")

// Call calls f in another goroutine, so that Call can return when Timeout is over or ctx ends: go-redis regards neither
// unless its ContextTimeoutEnabled is set. The name is for errors. The function ended is called when f has returned, which may
// be after Call has; it may be nil.
//
// What Call doesn't wait for any more goes on in its goroutine until go-redis returns, and may be executed by Redis.
// The goroutine is counted by Calls, so Close waits for it, though not for long. For the breaker its error is that of
// a call that wasn't answered.
func Call[R any](ctx context.Context, c *Caller, name string, ended func(), f func(context.Context) (R, error)) (R, error) {
	return new(call[R]).make(ctx, c, name, ended, workFunc[R](f))
}

// make is Call for any work.
func (cl *call[R]) make(ctx context.Context, c *Caller, name string, ended func(), w work[R]) (R, error) {
	if !cl.begin(ctx, c, c.Timeout, ended, w) {
		return cl.result(name, ErrClosed)
	}
	timer := c.timers.get(c.Timeout)
	defer c.timers.put(timer)
	select {
	case <-cl.done:
		return cl.result(name, nil)
	case <-ctx.Done():
		return cl.result(name, ctx.Err())
	case <-timer.C:
		return cl.result(name, context.DeadlineExceeded)
	}
}

// work is what a call does.
type work[R any] interface {
	do(ctx context.Context) (R, error)
}

// workFunc is a function as work.
type workFunc[R any] func(context.Context) (R, error)

func (f workFunc[R]) do(ctx context.Context) (R, error) { return f(ctx) }

// call is one call of some work, and the context that it gets.
//
// Its done is closed once: when the work is done, or when it isn't waited for any longer (result). Whoever closes it has set err
// before, and the value belongs to the goroutine that waits only if the end of the work has closed it. So a result that comes late
// goes to nobody, and a call isn't used again.
type call[R any] struct {
	callContext
	caller *Caller
	ended  func() // nil: nothing
	work   work[R]

	value   R
	failure error // the work's
}

// begin has the work done. The caller has to wait for its end, or for that of ctx or the timeout. It returns false if the Conn is closed.
func (cl *call[R]) begin(ctx context.Context, c *Caller, timeout time.Duration, ended func(), w work[R]) bool {
	cl.caller, cl.ended, cl.work, cl.failure = c, ended, w, errExited
	deadline := time.Now().Add(timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	cl.init(ctx, deadline)
	if c.Calls.Run(cl) {
		return true
	}
	if ended != nil {
		ended()
	}
	return false
}

// Run does the work. The call ends also if that panics or ends its goroutine.
func (cl *call[R]) Run() {
	defer func() {
		if cl.ended != nil {
			cl.ended() // before the caller, which may go on at once, has the result
		}
		cl.end(context.Canceled)
	}()
	cl.failure = cl.caller.CatchPanics(func() (err error) {
		cl.value, err = cl.work.do(&cl.callContext)
		return err
	})
}

// result returns the work's. With an error that says why it isn't waited for any longer, its context ends, and that is the result,
// unless the work was done just now.
func (cl *call[R]) result(name string, why error) (value R, err error) {
	if why != nil && cl.end(why) {
		if !errors.Is(why, ErrClosed) {
			why = callError(name, why)
		}
		return value, why
	}
	if err = cl.failure; err != nil && !errors.Is(err, redis.Nil) {
		return value, callError(name, err)
	}
	return cl.value, err
}

// callContext is the context of a call, or of a sender's batch, with the values of its caller's. It ends with the call, or when that isn't
// waited for any longer. Whoever waits ends it: it needs no timer, and isn't registered with the caller's context, which made a
// third of the objects of a call.
type callContext struct {
	context.Context // its caller's; only Value is used
	deadline        time.Time
	done            chan struct{}

	mu  sync.Mutex
	err error // set before done is closed
}

func (c *callContext) init(caller context.Context, deadline time.Time) {
	c.Context, c.deadline, c.done = caller, deadline, make(chan struct{})
}

// String keeps a log or a mock that prints the context from reading what a lock guards.
func (c *callContext) String() string { return fmt.Sprint(c.Context) + ".call" }

// Deadline implements context.Context.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} { return c.done }

// Err implements context.Context.
func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end ends the context; false: it has ended before.
func (c *callContext) end(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.err = err
	close(c.done)
	return true
}

// timerPool has the timers of calls that have ended. Only the goroutine that waits for a call knows its timer.
type timerPool struct{ unused sync.Pool }

func (p *timerPool) get(d time.Duration) *time.Timer {
	if t, ok := p.unused.Get().(*time.Timer); ok {
		t.Reset(d)
		return t
	}
	return time.NewTimer(d)
}

func (p *timerPool) put(t *time.Timer) {
	t.Stop()
	p.unused.Put(t)
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
