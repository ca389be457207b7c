package redisconn

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

func newCaller() *Caller {
	return &Caller{Timeout: time.Second, Logger: slog.New(slog.DiscardHandler)}
}

// closeCalls waits for the goroutines of the calls.
func closeCalls(c *Caller) {
	c.Calls.Close()
	c.Calls.Wait()
}

// A call isn't waited for after its Timeout, or the end of its caller's context. Then its own context ends, and its result goes to nobody.
func TestCallThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaller()
		defer closeCalls(c)
		for _, want := range []error{context.DeadlineExceeded, context.Canceled} {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if want == context.Canceled {
				time.AfterFunc(time.Millisecond, leave)
			}
			var ended atomic.Bool
			contexts := make(chan context.Context, 1)
			goOn, began := make(chan struct{}), time.Now()
			got, err := Call(ctx, c, "test", func() { ended.Store(true) }, func(ctx context.Context) (string, error) {
				contexts <- ctx
				<-goOn
				return "late", nil
			})
			if !errors.Is(err, want) || got != "" || ended.Load() {
				t.Errorf("got %q, %v, ended %v; want %v", got, err, ended.Load(), want)
			}
			inside := <-contexts
			<-inside.Done()
			at, ok := inside.Deadline()
			if !errors.Is(inside.Err(), want) || !ok || at.Sub(began) != time.Second {
				t.Errorf("the context: %v, %v, %v", inside.Err(), at.Sub(began), ok)
			}
			close(goOn)
			synctest.Wait()
			if !ended.Load() {
				t.Error("the end isn't reported")
			}
		}
		if got, err := Call(t.Context(), c, "test", nil, func(context.Context) (string, error) { return "next", redis.Nil }); got != "next" || !errors.Is(err, redis.Nil) {
			t.Errorf("the next call: %q, %v", got, err)
		}
	})
}

// A panic, or the end of the goroutine, is the error of its call, and of no other.
func TestCallThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaller()
		defer closeCalls(c)
		var thrown *panicError
		for range 3 {
			if _, err := Call(t.Context(), c, "test", nil, func(context.Context) (int, error) { panic("oh") }); !errors.As(err, &thrown) {
				t.Error(err)
			}
			if _, err := Call(t.Context(), c, "test", nil, func(context.Context) (int, error) { runtime.Goexit(); return 1, nil }); !errors.Is(err, errExited) {
				t.Error(err)
			}
			if n, err := Call(t.Context(), c, "test", nil, func(context.Context) (int, error) { return 1, nil }); n != 1 || err != nil {
				t.Error(n, err)
			}
		}
	})
}

// Calls one after the other use the same goroutine. A few goroutines wait for the next calls, and end with the Lifecycle.
func TestGoroutinesOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaller()
		call := func(f func()) {
			if _, err := Call(t.Context(), c, "test", nil, func(context.Context) (none struct{}, err error) { f(); return none, nil }); err != nil {
				t.Error(err)
			}
		}
		idle := func() int {
			synctest.Wait()
			c.Calls.mu.Lock()
			defer c.Calls.mu.Unlock()
			return len(c.Calls.idle)
		}
		for range 3 {
			if call(func() {}); idle() != 1 {
				t.Fatalf("%d goroutines wait", idle())
			}
		}
		goOn := make(chan struct{})
		for range 2 * maxIdle {
			go call(func() { <-goOn })
		}
		synctest.Wait()
		if n := idle(); n != 0 {
			t.Errorf("%d goroutines wait, and others were begun", n)
		}
		close(goOn)
		if n := idle(); n != maxIdle {
			t.Errorf("%d goroutines wait, want %d", n, maxIdle)
		}
		closeCalls(c)
		if _, err := Call(t.Context(), c, "test", nil, func(context.Context) (int, error) { return 1, nil }); !errors.Is(err, ErrClosed) || idle() != 0 {
			t.Errorf("after Close: %v, %d goroutines", err, idle())
		}
	})
}
