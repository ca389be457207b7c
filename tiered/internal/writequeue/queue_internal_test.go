package writequeue

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errQueued = errors.New("queued")
	errClosed = errors.New("closed")
	errDown   = errors.New("down")
)

// open returns a queue without a replayer.
func open() *Queue {
	return New(Options{Queued: errQueued, Closed: errClosed, Go: func(func(context.Context)) bool { return true }, ReplayKeys: func(context.Context, []string) bool { return false }, Now: func() time.Time { return time.Time{} }, Timeout: time.Minute})
}

// A change that fails while an earlier change of the same key or tag is being replayed is replayed too.
func TestQueuedDuringAReplay(t *testing.T) {
	q := open()
	cause := errors.New("down")
	fail := func() {
		for _, err := range []error{
			q.Failed([]string{"k"}, false, cause),
			q.failedTags([]string{"tag"}, false, cause),
		} {
			if !errors.Is(err, errQueued) || !errors.Is(err, cause) {
				t.Error(err)
			}
		}
	}
	fail()
	replayed := q.Mark()
	fail()
	q.written([]string{"k"}, false, replayed)
	q.remove(func() { q.removeTags([]string{"tag"}, replayed, false) })
	if q.Len() != 2 {
		t.Errorf("%d left of 2 that came later", q.Len())
	}
	_ = q.failedAll(false, cause)
	replayed = q.Mark()
	_ = q.failedTags([]string{"tag"}, false, cause) // the queued Clear must come after it
	q.remove(func() { q.removeAll(replayed, false) })
	if !q.HidesAll() || q.Len() != 2 {
		t.Errorf("%d left", q.Len())
	}
	q.written([]string{"k"}, false, q.Mark())
	q.remove(func() { q.removeAll(q.number, false) })
	if q.Len() != 0 || q.HidesAll() || q.Hides("k") {
		t.Errorf("%d left", q.Len())
	}
	if n := q.Close(0); n != 0 {
		t.Errorf("%d left", n)
	}
	if err := q.Failed([]string{"k"}, false, cause); err != cause || q.Len() != 0 {
		t.Errorf("closed: %v, %d", err, q.Len())
	}
}

// An expiry that Redis accepts makes queued expiries unnecessary, but no invalidation; an invalidation makes both unnecessary.
func TestWhatRemovesExpiries(t *testing.T) {
	cause := errors.New("down")
	tags := []string{"tag"}
	for name, c := range map[string]struct {
		queue func(q *Queue)
		left  [2]int // after an invalidation, after an expiry
		all   [2]int // the same for changes of all values
	}{
		"an expiry":       {func(q *Queue) { _ = q.failedTags(tags, true, cause) }, [2]int{0, 0}, [2]int{0, 0}},
		"an invalidation": {func(q *Queue) { _ = q.failedTags(tags, false, cause) }, [2]int{0, 1}, [2]int{0, 1}},
		"both": {func(q *Queue) { _, _ = q.failedTags(tags, false, cause), q.failedTags(tags, true, cause) },
			[2]int{0, 1}, [2]int{0, 1}},
		"ExpireAll":           {func(q *Queue) { _ = q.failedAll(true, cause) }, [2]int{1, 1}, [2]int{0, 0}},
		"Clear":               {func(q *Queue) { _ = q.failedAll(false, cause) }, [2]int{1, 1}, [2]int{0, 1}},
		"ExpireAll and Clear": {func(q *Queue) { _, _ = q.failedAll(true, cause), q.failedAll(false, cause) }, [2]int{1, 1}, [2]int{0, 1}},
		"Clear and ExpireAll": {func(q *Queue) { _, _ = q.failedAll(false, cause), q.failedAll(true, cause) }, [2]int{1, 1}, [2]int{0, 1}},
	} {
		for i, expire := range []bool{false, true} {
			for of, remove := range map[string]func(q *Queue){
				"tags":       func(q *Queue) { q.removeTags(tags, q.number, expire) },
				"everything": func(q *Queue) { q.removeAll(q.number, expire) },
			} {
				q := open()
				c.queue(q)
				q.remove(func() { remove(q) })
				want := c.left[i]
				if of == "everything" {
					want = c.all[i]
				}
				if q.Len() != want || q.HidesAll() != (want > 0) {
					t.Errorf("%s, then of %s with expire %v: %d left, want %d", name, of, expire, q.Len(), want)
				}
			}
		}
	}
}

// Changes that exceed the queue's limit leave no memory behind.
func TestMemoryOfAFullQueue(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	q := open()
	before := heap()
	fail := func() error {
		keys := make([]string, 300_000)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
		}
		return q.Failed(keys, false, errors.New("down"))
	}
	if err := fail(); !errors.Is(err, errQueued) || q.Len() != 1 {
		t.Errorf("%v, %d queued", err, q.Len())
	}
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("%d bytes are left", grown)
	}
	runtime.KeepAlive(q)
}

// What an invalidation drops from memory is dropped before it is taken off the queue, since reads rely on Redis again then, and after
// it was queued.
func TestForgottenBeforeItIsTakenOff(t *testing.T) {
	down := true
	forgotten := 0
	q := open()
	forget := func() {
		if forgotten++; !q.HidesAll() {
			t.Error("it is forgotten while reads rely on Redis")
		}
	}
	q.Tags = Tags{
		Invalidate: func(_ context.Context, names []string, _ bool) (done, failed []string, err error) {
			if down {
				return nil, names, errDown
			}
			return names, nil, nil
		},
		InvalidateAll: func(context.Context, bool) error {
			if down {
				return errDown
			}
			return nil
		},
		Forget:    func([]string, bool) { forget() },
		ForgetAll: forget,
	}
	for name, invalidate := range map[string]func() error{
		"tags":       func() error { return q.InvalidateTags(t.Context(), []string{"a"}, false) },
		"expiry":     func() error { return q.InvalidateTags(t.Context(), []string{"a"}, true) },
		"everything": func() error { return q.InvalidateAll(t.Context(), false) },
		"expire all": func() error { return q.InvalidateAll(t.Context(), true) },
	} {
		for _, again := range map[string]func(){
			"called again": func() { _ = invalidate() },
			"replayed":     func() { q.ReplayTags(t.Context()) },
		} {
			down, forgotten = true, 0
			if err := invalidate(); !errors.Is(err, errQueued) || !errors.Is(err, errDown) || !q.HidesAll() {
				t.Errorf("%s: %v, %d queued", name, err, q.Len())
			}
			q.ReplayTags(t.Context())
			if cause := q.Withheld("k", true); !errors.Is(cause, errDown) {
				t.Errorf("%s: withheld because of %v", name, cause)
			}
			down = false
			again()
			if q.Len() != 0 || forgotten != 2 {
				t.Errorf("%s: %d queued, forgotten %d times", name, q.Len(), forgotten)
			}
		}
	}
}

// Only what is still queued is replayed: a write doesn't wait for anything else, and would lose its value to it.
func TestReplayedWhileItIsQueued(t *testing.T) {
	for name, queue := range map[string]func(q *Queue){
		"ExpireTags":     func(q *Queue) { _ = q.failedTags([]string{"a"}, true, errDown) },
		"InvalidateTags": func(q *Queue) { _ = q.failedTags([]string{"a"}, false, errDown) },
		"both": func(q *Queue) {
			_, _ = q.failedTags([]string{"a"}, true, errDown), q.failedTags([]string{"b"}, false, errDown)
		},
	} {
		for _, all := range []bool{false, true} { // after an ExpireAll
			q := open()
			replaying := func() {
				if !q.HidesAll() {
					t.Errorf("%s, after an ExpireAll: %v: it is replayed, and not queued", name, all)
				}
			}
			q.Tags = Tags{
				Invalidate: func(_ context.Context, names []string, _ bool) (done, failed []string, err error) {
					replaying()
					return names, nil, nil
				},
				InvalidateAll: func(context.Context, bool) error {
					replaying()
					return nil
				},
				Forget:    func([]string, bool) {},
				ForgetAll: func() {},
			}
			if all {
				_ = q.failedAll(true, errDown)
			}
			queue(q)
			q.ReplayTags(t.Context())
			if q.Len() != 0 {
				t.Errorf("%s, after an ExpireAll: %v: %d queued", name, all, q.Len())
			}
		}
	}
}

// An invalidation that is being replayed isn't taken off the queue by another one.
func TestTakenOffAfterItsReplay(t *testing.T) {
	q := open()
	var others sync.WaitGroup
	taken := make(chan struct{}, 2)
	first := true
	q.Tags = Tags{
		Invalidate: func(_ context.Context, names []string, _ bool) (done, failed []string, err error) {
			if first {
				first = false
				others.Go(func() { _ = q.InvalidateTags(t.Context(), names, false) })
				<-taken
				for range 1000 {
					runtime.Gosched() // the other one goes on
				}
				if !q.HidesAll() {
					t.Error("it isn't queued any more")
				}
			}
			return names, nil, nil
		},
		Forget: func([]string, bool) { taken <- struct{}{} },
	}
	_ = q.failedTags([]string{"a"}, false, errDown)
	q.ReplayTags(t.Context())
	others.Wait()
	if q.Len() != 0 {
		t.Errorf("%d queued", q.Len())
	}
}

// What isn't on its way to Redis any more isn't queued.
func TestClosedIsNotQueued(t *testing.T) {
	q := open()
	if err := q.Failed([]string{"k"}, false, errClosed); err != errClosed || q.Len() != 0 {
		t.Errorf("%v, %d queued", err, q.Len())
	}
}

// Keys are settled only if nothing was queued for them meanwhile.
func TestSettle(t *testing.T) {
	q := open()
	_ = q.Failed([]string{"a", "b"}, false, errDown)
	keys, all, numbers := q.Invalidations([]string{"a", "b", "c"})
	if len(keys) != 2 || len(all) != 2 {
		t.Fatalf("%q, %v", keys, all)
	}
	_ = q.Failed([]string{"b"}, false, errDown)
	q.Settle(numbers)
	if !q.Hides("b") || q.Hides("a") || q.Len() != 1 || q.Replayed() != 2 {
		t.Errorf("%q are queued, %d replayed", q.queuedKeys(), q.Replayed())
	}
}

// A write waits for a replay of tags no longer than Timeout, also if another one is under way, and an invalidation stays queued
// that couldn't be taken off in that time.
func TestWaitForAReplayIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open()
		q.Timeout = time.Second
		down := true
		q.Tags = Tags{
			Invalidate: func(ctx context.Context, names []string, _ bool) (done, failed []string, err error) {
				if !down {
					return names, nil, nil
				}
				<-ctx.Done() // the server doesn't answer
				return nil, names, errDown
			},
			InvalidateAll: func(context.Context, bool) error { return nil },
			Forget:        func([]string, bool) {},
			ForgetAll:     func() {},
		}
		waits := func(what string, want time.Duration, call func()) {
			t.Helper()
			began := time.Now()
			call()
			if d := time.Since(began); d != want {
				t.Errorf("%s takes %v, want %v", what, d, want)
			}
		}
		_ = q.failedTags([]string{"tag"}, false, errDown)
		waits("a replay by a write", time.Second, func() { q.ReplayTags(t.Context()) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go q.replayQueued(ctx)
		synctest.Wait()
		waits("a replay by a write, beside the replayer's", time.Second, func() { q.ReplayTags(t.Context()) })
		waits("an invalidation of everything", time.Second, func() {
			if err := q.InvalidateAll(t.Context(), false); err != nil {
				t.Error(err)
			}
		})
		if !q.HidesAll() {
			t.Error("the replay that is under way would go unnoticed")
		}
		time.Sleep(time.Hour) // the replayer's context ends
		synctest.Wait()
		down = false
		waits("a replay", 0, func() { q.ReplayTags(t.Context()) })
		if q.HidesAll() {
			t.Error("it is still queued")
		}
	})
}
