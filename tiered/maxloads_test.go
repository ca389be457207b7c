package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// overloaded returns a cache with one permit, which a load of "busy" has until end is called. The load ignores its context.
func overloaded(t *testing.T, p tiered.Policy) (c *tiered.Cache[string], end func()) {
	t.Helper()
	c = newCache(t, tiered.Options[string]{MaxLoads: 1, Policy: p})
	return c, occupy(t, c)
}

// occupy takes a permit until end is called.
func occupy(t *testing.T, c *tiered.Cache[string]) (end func()) {
	t.Helper()
	release := make(chan struct{})
	begin(t, c, "busy", func(context.Context, *tiered.Entry[string]) (string, error) {
		<-release
		return "busy", nil
	})
	waitFor(t, func() bool { return c.Stats().LoadsRunning == 1 })
	return func() { close(release) }
}

// fillQueue begins loads until the queue is full.
func fillQueue(t *testing.T, c *tiered.Cache[string]) (all []*call) {
	t.Helper()
	for i := range 16 {
		all = append(all, begin(t, c, fmt.Sprint("queued", i), value("v")))
	}
	synctest.Wait()
	if s := c.Stats(); s.LoadsWaiting != 16 || s.LoadsRunning != 1 || s.Shed != 0 {
		t.Fatalf("%+v", s)
	}
	return all
}

// A thousand cold keys at once: no more loads run than may, and each caller gets its value.
func TestMaxLoads(t *testing.T) {
	for name, most := range map[string]int{"default": 0, "64": 64, "no limit": -1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tiered.Options[string]{MaxLoads: most})
				want := map[int]int{0: 256, -1: 1000}[most]
				if want == 0 {
					want = most
				}
				var running, peak atomic.Int32
				load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
					peak.Store(max(peak.Load(), running.Add(1)))
					defer running.Add(-1)
					time.Sleep(time.Millisecond)
					return e.Key, nil
				}
				var all []*call
				for i := range 1000 {
					all = append(all, begin(t, c, fmt.Sprint(i), load))
				}
				synctest.Wait()
				if s := c.Stats(); s.LoadsRunning != want || s.LoadsWaiting != 1000-want {
					t.Errorf("%d run, %d wait", s.LoadsRunning, s.LoadsWaiting)
				}
				for i, cl := range all {
					cl.gets(t, fmt.Sprint(i))
				}
				if s := c.Stats(); s.LoadsRunning+s.LoadsWaiting != 0 || s.Shed != 0 || s.Loads != 1000 || int(peak.Load()) != want {
					t.Errorf("peak %d, %+v", peak.Load(), s)
				}
			})
		})
	}
}

// Loads with as many callers get a permit in the order in which they came.
func TestLoadsWaitInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := overloaded(t, tiered.Policy{})
		var order []string
		var all []*call
		for _, key := range []string{"a", "b", "c", "d"} {
			all = append(all, begin(t, c, key, func(_ context.Context, e *tiered.Entry[string]) (string, error) {
				order = append(order, e.Key) // one at a time
				return e.Key, nil
			}))
			synctest.Wait()
		}
		end()
		for i, cl := range all {
			cl.gets(t, string(rune('a'+i)))
		}
		if !slices.Equal(order, []string{"a", "b", "c", "d"}) {
			t.Error(order)
		}
	})
}

// When the queue is full a caller gets ErrOverloaded, or a stale value if its policy permits it, and no time passes.
func TestLoadQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{MaxLoads: 1, Policy: tiered.Policy{StaleIfError: time.Hour, RetryAfter: time.Second, LoadTimeout: time.Hour}})
		set(t, c, "old", "stale")
		if err := c.Expire(t.Context(), "old"); err != nil {
			t.Fatal(err)
		}
		end := occupy(t, c)
		all := fillQueue(t, c)
		start := time.Now()
		for range 3 { // none has an effect on the next
			if _, err := c.GetOrLoad(t.Context(), "k", noLoad[string](t)); !errors.Is(err, tiered.ErrOverloaded) || errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			gets(t, c, "old", noLoad[string](t), "stale")
		}
		if _, err := c.Refresh(t.Context(), "old", noLoad[string](t)); !errors.Is(err, tiered.ErrOverloaded) {
			t.Error(err)
		}
		got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"old", "x", "y"}, self, many("v"))
		if !errors.Is(err, tiered.ErrOverloaded) || fmt.Sprint(got) != "map[old:stale]" {
			t.Error(got, err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %v", d)
		}
		if s := c.Stats(); s.Shed != 6 || s.LoadErrors != 0 || s.Loads != 1 || s.LoadsWaiting != 16 { // 3 of k, 1 of old, 1 Refresh, 1 batch
			t.Errorf("%+v", s)
		}
		end()
		for _, cl := range all {
			cl.gets(t, "v")
		}
		gets(t, c, "k", value("v"), "v")
		gets(t, c, "old", noLoad[string](t), "stale") // until RetryAfter
		time.Sleep(time.Second)
		synctest.Wait()
		gets(t, c, "old", value("new"), "new")
	})
}

// The wait for a permit is part of LoadTimeout. A load whose turn hasn't come by then fails with ErrOverloaded.
func TestWaitForAPermitIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := overloaded(t, tiered.Policy{StaleIfError: time.Hour, SoftTimeout: time.Second, LoadTimeout: time.Minute})
		defer end()
		hasty := c.With(func(p *tiered.Policy) { p.LoadTimeout = 10 * time.Second })
		set(t, c, "old", "stale")
		if err := c.Expire(t.Context(), "old"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		gets(t, c, "old", value("late"), "stale")
		if d := time.Since(start); d != time.Second {
			t.Errorf("SoftTimeout: it took %v", d)
		}
		_, err := hasty.GetOrLoad(t.Context(), "k", noLoad[string](t))
		if d := time.Since(start); !errors.Is(err, tiered.ErrOverloaded) || !errors.Is(err, context.DeadlineExceeded) || d != 11*time.Second {
			t.Errorf("%v after %v", err, d)
		}
		synctest.Wait()
		if s := c.Stats(); s.Shed != 1 || s.LoadErrors != 0 || s.LoadsWaiting != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A loader that hangs keeps its permit until it returns, whatever its context does, and whether its callers are still there. So
// loaders that hang take up no more goroutines than there are permits.
func TestHungLoadersKeepTheirPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 4
		c := newCache(t, tiered.Options[string]{MaxLoads: most, Policy: tiered.Policy{LoadTimeout: time.Second}})
		release := make(chan struct{})
		var hung atomic.Int32
		hang := func(context.Context, *tiered.Entry[string]) (string, error) {
			hung.Add(1)
			<-release
			return "late", nil
		}
		before := runtime.NumGoroutine()
		for round := range 100 {
			_, err := c.GetOrLoad(t.Context(), fmt.Sprint(round), hang)
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, tiered.ErrOverloaded) != (round > 0) { // the callers that left took the other permits
				t.Error(round, err)
			}
			for i := range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if _, err := c.GetOrLoad(ctx, fmt.Sprint(round, "left", i), hang); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				synctest.Wait()
			}
		}
		// NumGoroutine counts the whole process: the runtime, and tests that have just ended, may have a few more.
		if n := runtime.NumGoroutine() - before; hung.Load() != most || n > most+10 {
			t.Errorf("%d loaders hang, %d goroutines more", hung.Load(), n)
		}
		if s := c.Stats(); s.LoadsRunning != most || s.LoadsWaiting != 0 {
			t.Errorf("%+v", s)
		}
		close(release)
		synctest.Wait()
		gets(t, c, "k", value("v"), "v")
		if s := c.Stats(); s.LoadsRunning != 0 {
			t.Errorf("%d still run", s.LoadsRunning)
		}
	})
}

// A load that fails in any way releases its permit.
func TestFailedLoadsReleaseTheirPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{MaxLoads: 1})
		for range 3 {
			for _, load := range []tiered.Loader[string]{
				func(context.Context, *tiered.Entry[string]) (string, error) { return "", errDown },
				func(context.Context, *tiered.Entry[string]) (string, error) { panic("no") },
				func(context.Context, *tiered.Entry[string]) (string, error) { runtime.Goexit(); return "", nil },
				value("v"),
			} {
				_, _ = begin(t, c, "k", load).wait(t)
				synctest.Wait()
				if s := c.Stats(); s.LoadsRunning != 0 {
					t.Errorf("%+v", s)
				}
			}
		}
	})
}

// Callers that leave take their load from the queue. One that got the stale value after SoftTimeout doesn't.
func TestLoadsNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := overloaded(t, tiered.Policy{StaleIfError: time.Hour, SoftTimeout: time.Second, LoadTimeout: time.Hour})
		set(t, c, "old", "stale")
		if err := c.Expire(t.Context(), "old"); err != nil {
			t.Fatal(err)
		}
		gets(t, c, "old", value("new"), "stale")
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		defer leaveFirst()
		defer leaveSecond()
		ask := func(ctx context.Context) *call {
			return begun(func() (string, error) { return c.GetOrLoad(ctx, "left", noLoad[string](t)) })
		}
		batch := begun(func() (string, error) {
			got, err := tiered.GetOrLoadMany(first, c, []string{"left too", "kept"}, self, many("v"))
			return fmt.Sprint(got), err
		})
		calls := []*call{ask(first), ask(second), batch}
		synctest.Wait()
		kept := begin(t, c, "kept", noLoad[string](t))
		synctest.Wait()
		for i, want := range []int{3, 2} {
			[]func(){leaveFirst, leaveSecond}[i]()
			synctest.Wait()
			if s := c.Stats(); s.LoadsWaiting != want {
				t.Errorf("%d loads wait; want %d", s.LoadsWaiting, want)
			}
		}
		for _, cl := range calls {
			if _, err := cl.wait(t); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		again := begin(t, c, "left", value("again")) // begins a load of its own
		end()
		kept.gets(t, "v")
		again.gets(t, "again")
		synctest.Wait()
		gets(t, c, "old", noLoad[string](t), "new")
		if _, err := c.Get(t.Context(), "left too"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("nobody waited for it: %v", err)
		}
	})
}

// Close ends the waits for permits, and isn't held up by a loader that hangs.
func TestCloseWhileLoadsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := overloaded(t, tiered.Policy{})
		defer end()
		all := fillQueue(t, c)
		start := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, cl := range all {
			if _, err := cl.wait(t); !errors.Is(err, tiered.ErrClosed) {
				t.Error(err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %v", d)
		}
		if s := c.Stats(); s.LoadErrors != s.Loads {
			t.Errorf("%d errors of %d loads", s.LoadErrors, s.Loads)
		}
	})
}

// A background load isn't begun while no permit is free, and it doesn't wait in the queue either: the next hit tries again.
func TestBackgroundLoadsComeLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := overloaded(t, tiered.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Hour, LoadTimeout: time.Hour, Jitter: -1})
		set(t, c, "k", "old")
		time.Sleep(time.Minute)
		waits := begin(t, c, "other", value("v"))
		synctest.Wait()
		for range 10 {
			gets(t, c, "k", noLoad[string](t), "old")
		}
		if s := c.Stats(); s.Refreshes != 0 || s.LoadsWaiting != 1 || s.Shed != 0 {
			t.Errorf("%+v", s)
		}
		end()
		waits.gets(t, "v")
		synctest.Wait()
		gets(t, c, "k", value("new"), "old")
		synctest.Wait()
		gets(t, c, "k", noLoad[string](t), "new")
	})
}

// Background loads take a quarter of the permits.
func TestBackgroundLoadsLeavePermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{MaxLoads: 8, Policy: tiered.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Hour, Jitter: -1}})
		for i := range 8 {
			set(t, c, fmt.Sprint(i), "old")
		}
		time.Sleep(time.Minute)
		g := newGate()
		for i := range 8 {
			gets(t, c, fmt.Sprint(i), g.load, "old")
		}
		synctest.Wait()
		if s := c.Stats(); s.LoadsRunning != 2 || s.Refreshes != 2 {
			t.Errorf("%+v", s)
		}
		gets(t, c, "k", value("v"), "v")
		close(g.open)
	})
}

// All views of a cache share its permits. Hits need none.
func TestViewsSharePermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := overloaded(t, tiered.Policy{})
		view := c.With(func(p *tiered.Policy) { p.TTL = time.Hour })
		set(t, c, "hit", "v")
		waits := begin(t, view, "k", value("v"))
		synctest.Wait()
		if s := view.Stats(); s.LoadsWaiting != 1 {
			t.Errorf("%+v", s)
		}
		gets(t, view, "hit", noLoad[string](t), "v")
		end()
		waits.gets(t, "v")
	})
}
