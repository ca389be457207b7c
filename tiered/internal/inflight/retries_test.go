package inflight_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
)

// Callers join a failed flight until its time is over. Then the next one begins a flight of its own.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb, _ := open(t)
		r := inflight.NewRetries(tb)
		f, _ := join(t, tb, "k", inflight.ForRead)
		if !r.Delay(f, time.Minute) {
			t.Fatal("closed")
		}
		f.Finish(nil, errors.New("broken"))
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		if got, mine := join(t, tb, "k", inflight.ForRead); mine || got != f {
			t.Error("another flight began before the end")
		}
		if left := r.Left(f); left != 1 || r.Len() != 1 {
			t.Errorf("%v are left, of %d flights", left, r.Len())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if tb.Len() != 0 || r.Len() != 0 || r.Left(f) != 0 {
			t.Errorf("%d states and %d flights are left, for %v", tb.Len(), r.Len(), r.Left(f))
		}
		if _, mine := join(t, tb, "k", inflight.ForRead); !mine {
			t.Error("the failed flight is joined after its end")
		}
		r.Close()
	})
}

// Close ends the time of failed flights, and of those whose time ends just then.
func TestRetriesClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb, _ := open(t)
		r := inflight.NewRetries(tb)
		for _, key := range []string{"a", "b", "c"} {
			f, _ := join(t, tb, key, inflight.ForRead)
			r.Delay(f, time.Minute)
		}
		f, _ := join(t, tb, "late", inflight.ForRead)
		time.Sleep(time.Minute)
		r.Close()
		if tb.Len() != 1 || r.Len() != 0 {
			t.Errorf("%d states and %d flights are left", tb.Len(), r.Len())
		}
		if r.Delay(f, time.Minute) || r.Len() != 0 {
			t.Error("a flight was delayed after Close")
		}
	})
}
