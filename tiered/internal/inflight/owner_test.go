package inflight_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
)

// A load's context has its caller's values, isn't cancelled with the caller, and ends after its time, when its load ends or when
// the cache closes. Only in the first and the last case is overdue called.
func TestLoadContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		caller, leave := context.WithCancelCause(context.WithValue(t.Context(), key{}, "v"))
		base, end := context.WithCancel(context.Background())
		defer end()
		var overdue atomic.Int32
		begin := func(timeout time.Duration) (context.Context, func()) {
			return inflight.NewContext(base, caller, new(inflight.Owner), timeout, func() { overdue.Add(1) })
		}
		timed, timedDone := begin(time.Second)
		ended, endedDone := begin(time.Second)
		closed, closedDone := begin(time.Hour)
		leave(errors.New("the caller left"))
		for _, ctx := range []context.Context{timed, ended, closed} {
			if ctx.Err() != nil || context.Cause(ctx) != nil || ctx.Value(key{}) != "v" {
				t.Errorf("%v, %v, %v", ctx.Err(), context.Cause(ctx), ctx.Value(key{}))
			}
		}
		if at, ok := timed.Deadline(); !ok || time.Until(at) != time.Second {
			t.Errorf("it ends at %v, %v", at, ok)
		}
		child, cancel := context.WithCancel(ended)
		defer cancel()
		endedDone()
		synctest.Wait()
		if !errors.Is(ended.Err(), context.Canceled) || !errors.Is(child.Err(), context.Canceled) || overdue.Load() != 0 {
			t.Errorf("%v, %v, %d overdue", ended.Err(), child.Err(), overdue.Load())
		}
		<-timed.Done()
		synctest.Wait()
		if !errors.Is(timed.Err(), context.DeadlineExceeded) || closed.Err() != nil || overdue.Load() != 1 {
			t.Errorf("%v, %v, %d overdue", timed.Err(), closed.Err(), overdue.Load())
		}
		timedDone()
		end()
		late, lateDone := begin(time.Hour)
		synctest.Wait()
		for _, ctx := range []context.Context{closed, late} {
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Error(ctx.Err())
			}
		}
		closedDone()
		lateDone()
		if overdue.Load() != 3 {
			t.Errorf("%d overdue", overdue.Load())
		}
	})
}

// A load belongs to its owner, and to the owners of the loads whose loaders began it.
func TestLoadIsWithin(t *testing.T) {
	base, end := context.WithCancel(context.Background())
	defer end()
	outer, inner, other := new(inflight.Owner), new(inflight.Owner), new(inflight.Owner)
	first, done := inflight.NewContext(base, t.Context(), outer, time.Hour, func() {})
	defer done()
	caller, cancel := context.WithCancel(first)
	defer cancel()
	second, done := inflight.NewContext(context.Background(), caller, inner, time.Hour, func() {})
	defer done()
	for ctx, want := range map[context.Context][3]bool{
		t.Context(): {false, false, false},
		caller:      {true, false, false},
		second:      {true, true, false},
	} {
		if got := [3]bool{outer.Within(ctx), inner.Within(ctx), other.Within(ctx)}; got != want {
			t.Errorf("%v: %v, want %v", ctx, got, want)
		}
	}
}

// Neither a load's context nor one derived from it costs a goroutine.
func TestLoadContextsTakeNoGoroutines(t *testing.T) {
	base, end := context.WithCancel(context.Background())
	defer end()
	type key struct{}
	caller, leave := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
	defer leave()
	before := runtime.NumGoroutine()
	const loads = 1000
	for range loads {
		ctx, done := inflight.NewContext(base, caller, new(inflight.Owner), time.Hour, func() {})
		defer done()
		_, cancel := context.WithCancel(context.WithValue(ctx, key{}, "w"))
		defer cancel()
		_, done = inflight.NewContext(base, ctx, new(inflight.Owner), time.Hour, func() {})
		defer done()
	}
	if n := runtime.NumGoroutine() - before; n >= loads {
		t.Errorf("%d goroutines", n)
	}
}

// A load's context can be printed, as by a log or a mock, while other contexts are derived from it.
func TestLoadContextIsPrinted(t *testing.T) {
	c, done := inflight.NewContext(context.Background(), t.Context(), new(inflight.Owner), time.Minute, func() {})
	defer done()
	var others sync.WaitGroup
	others.Go(func() {
		for range 1000 {
			_, cancel := context.WithCancel(c)
			cancel()
		}
	})
	for range 1000 {
		if s := fmt.Sprint(c); strings.Contains(s, "0x") {
			t.Fatal(s)
		}
	}
	others.Wait()
}
