package tiered

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A load's context behaves like one of the standard library.
func TestLoadContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		caller, leave := context.WithCancelCause(context.WithValue(t.Context(), key{}, "v"))
		var ls loads
		var overdue atomic.Int32
		begin := func() *loadContext { return ls.begin(caller, new(owner), time.Second, func() { overdue.Add(1) }) }
		timed, done, closed := begin(), begin(), begin()
		leave(errors.New("the caller left"))
		for _, c := range []*loadContext{timed, done, closed} {
			if c.Err() != nil || context.Cause(c) != nil || c.Value(key{}) != "v" {
				t.Errorf("%v, %v, %v", c.Err(), context.Cause(c), c.Value(key{}))
			}
		}
		child, cancel := context.WithCancel(done)
		defer cancel()
		ran := 0
		stopped := context.AfterFunc(done, func() { ran++ })
		context.AfterFunc(done, func() { ran++ })
		if !stopped() || stopped() {
			t.Error("it can't be stopped once")
		}
		done.done()
		synctest.Wait()
		if ran != 1 || !errors.Is(child.Err(), context.Canceled) || overdue.Load() != 0 {
			t.Errorf("%d functions ran, %v, %d overdue", ran, child.Err(), overdue.Load())
		}
		closed.timer.Stop()
		<-timed.Done()
		synctest.Wait()
		if !errors.Is(timed.Err(), context.DeadlineExceeded) || overdue.Load() != 1 {
			t.Errorf("%v, %d overdue", timed.Err(), overdue.Load())
		}
		timed.done()
		ls.close()
		late := begin()
		synctest.Wait()
		for _, c := range []*loadContext{closed, late} {
			if !errors.Is(c.Err(), context.Canceled) {
				t.Error(c.Err())
			}
			c.done()
		}
		if overdue.Load() != 3 || ls.first != nil {
			t.Errorf("%d overdue, %v", overdue.Load(), ls.first)
		}
	})
}

// A load's context can be printed, as by a log or a mock, while other contexts are derived from it.
func TestLoadContextIsPrinted(t *testing.T) {
	var ls loads
	c := ls.begin(t.Context(), new(owner), time.Minute, func() {})
	defer c.done()
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
