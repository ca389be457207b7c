package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// counted is a loader that returns how often it was called.
func counted(loads *atomic.Int32) tiered.Loader[string] {
	return func(context.Context, *tiered.Entry[string]) (string, error) {
		return fmt.Sprint("load ", loads.Add(1)), nil
	}
}

func TestRefreshAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Minute, RefreshAfter: 30 * time.Second, Jitter: -1}})
		var loads atomic.Int32
		load := counted(&loads)
		gets(t, c, "k", load, "load 1")
		time.Sleep(30*time.Second - 1)
		gets(t, c, "k", load, "load 1")
		synctest.Wait()
		if n := loads.Load(); n != 1 {
			t.Fatalf("%d loads before its time", n)
		}
		time.Sleep(time.Nanosecond)
		gets(t, c, "k", load, "load 1")
		synctest.Wait()
		gets(t, c, "k", load, "load 2")
		if v, err := c.Get(t.Context(), "k"); v != "load 2" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		time.Sleep(time.Minute - 1) // a Get refreshes nothing
		if v, err := c.Get(t.Context(), "k"); v != "load 2" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		synctest.Wait()
		if s := c.Stats(); loads.Load() != 2 || s.Refreshes != 1 || s.Stale != 0 {
			t.Errorf("%d loads, %+v", loads.Load(), s)
		}
	})
}

// A loader may say when its value is to be refreshed, also if the policy doesn't.
func TestLoaderChangesWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Minute, Jitter: -1}})
		var loads atomic.Int32
		load := func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
			e.Policy.RefreshAfter, e.Policy.StaleWhileRevalidate, e.Policy.StaleIfError = 10*time.Second, time.Minute, 2*time.Minute
			return counted(&loads)(ctx, e)
		}
		gets(t, c, "k", load, "load 1")
		time.Sleep(10 * time.Second)
		gets(t, c, "k", load, "load 1")
		synctest.Wait()
		gets(t, c, "k", load, "load 2")
		time.Sleep(time.Minute)
		gets(t, c, "k", load, "load 2")
		synctest.Wait()
		gets(t, c, "k", load, "load 3")
		time.Sleep(2 * time.Minute)
		failures := 0
		gets(t, c, "k", failing(&failures), "load 3")
		time.Sleep(time.Minute)
		if v, err := c.GetOrLoad(t.Context(), "k", failing(&failures)); err != errDown {
			t.Errorf("%q, %v", v, err)
		}
	})
}

// Of two processes one refreshes a value, and each of their callers gets it at once.
func TestOneRefreshOfTwoProcesses(t *testing.T) {
	t.Parallel()
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			p := tiered.Policy{TTL: time.Hour, RefreshAfter: time.Millisecond, Jitter: -1}
			o := tiered.RedisOptions{Invalidation: how}
			a, b := newProcess(t, s, o, p), newProcess(t, s, o, p)
			for i := range 10 {
				refreshOnce(t, s, fmt.Sprint("k", i), a, b, how == tiered.None)
			}
		})
	}
}

func refreshOnce(t *testing.T, s *redistest.Server, key string, a, b *tiered.Cache[string], noEvents bool) {
	open := make(chan struct{})
	var loads atomic.Int32
	load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		loads.Add(1)
		<-open
		e.Policy.RefreshAfter = 0
		return "new", nil
	}
	set(t, a, key, "old")
	<-time.NewTimer(2 * time.Millisecond).C // it is due
	for _, c := range []*tiered.Cache[string]{a, b} {
		before := c.Stats().Refreshes
		waitFor(t, func() bool { // its value may have been read when it was younger
			gets(t, c, key, load, "old")
			return c.Stats().Refreshes > before
		})
	}
	for range 20 {
		gets(t, a, key, load, "old")
		gets(t, b, key, load, "old")
	}
	close(open)
	for _, c := range []*tiered.Cache[string]{a, b} {
		waitFor(t, func() bool {
			v, err := c.GetOrLoad(t.Context(), key, load)
			return v == "new" && err == nil || noEvents && c == b && stored(s, key) == "new"
		})
	}
	if n := loads.Load(); n != 1 {
		t.Errorf("%s: %d loads", key, n)
	}
	waitFor(t, func() bool { return s.Do("EXISTS", "tc:test!lease:"+key) == int64(0) })
}

// If the process that refreshes a value dies, another does it once the lease has run out.
func TestHolderOfALeaseBesideDies(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour}
	c := newProcess(t, s, tiered.RedisOptions{}, p)
	set(t, c, "k", "old")
	if err := c.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	dead := "\xc1tl\x01" + "0123456789abcdef" + "\xac\x02" + "\x00" // 300 ms
	s.Do("SET", "tc:test!lease:k", dead, "PX", 300)
	began := time.Now()
	gets(t, c, "k", value("new"), "new")
	if d := time.Since(began); d < 200*time.Millisecond {
		t.Errorf("it waited %v", d)
	}
	s.Do("SET", "tc:test!lease:k", dead) // one that Redis doesn't let expire
	if err := c.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	gets(t, c, "k", value("newer"), "newer")
}

// A value that is changed while it is refreshed keeps the change.
func TestChangeDuringARefreshBehind(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := tiered.Policy{TTL: time.Hour, RefreshAfter: time.Millisecond, Jitter: -1}
	a, b := newProcess(t, s, tiered.RedisOptions{}, p), newProcess(t, s, tiered.RedisOptions{}, p)
	for name, change := range map[string]func() error{
		"Set":    func() error { return b.Set(t.Context(), "k", "set") },
		"Delete": func() error { return b.Delete(t.Context(), "k") },
		"Expire": func() error { return b.Expire(t.Context(), "k") },
		"DEL":    func() error { s.Do("DEL", "tc:test:k"); return nil },
		"Clear":  func() error { return b.Clear(t.Context()) },
	} {
		set(t, a, "k", "old")
		g := newGate()
		waitFor(t, func() bool {
			gets(t, a, "k", g.load, "old")
			return g.loads.Load() > 0
		})
		if err := change(); err != nil {
			t.Fatal(err)
		}
		close(g.open)
		waitFor(t, func() bool { return s.Do("EXISTS", "tc:test!lease:k") == int64(0) })
		for _, c := range []*tiered.Cache[string]{a, b} {
			waitFor(t, func() bool { // what was loaded later, if another refresh had been waiting, is all right
				v, err := c.Get(t.Context(), "k")
				outdated := v == "old" || v == "load 1"
				if v == "load 1" && (name != "Clear" || c == b) || v == "" && !errors.Is(err, tiered.ErrNotFound) {
					t.Fatalf("after %s: %q, %v", name, v, err)
				}
				return !outdated // of a Clear the other process hears later
			})
		}
	}
}

// Loads in the background are bounded; what isn't begun is not missed, and a Close ends them.
func TestManyRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, most = 200, 64
		c, err := tiered.New(tiered.Options[string]{
			Name:   "test",
			Policy: tiered.Policy{TTL: time.Hour, RefreshAfter: time.Minute, Jitter: -1},
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range keys {
			set(t, c, fmt.Sprint(i), "old")
		}
		time.Sleep(time.Minute)
		var running, ended atomic.Int32
		load := func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			running.Add(1)
			<-ctx.Done()
			ended.Add(1)
			return "", ctx.Err()
		}
		ask := func() {
			for i := range keys {
				gets(t, c, fmt.Sprint(i), load, "old")
			}
			synctest.Wait()
		}
		ask()
		ask()
		if n := running.Load(); n != most {
			t.Errorf("%d loads in the background", n)
		}
		time.Sleep(30 * time.Second) // LoadTimeout
		synctest.Wait()
		ask()
		if n := running.Load(); n != 2*most {
			t.Errorf("%d loads when the first are over", n)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if ended.Load() != running.Load() {
			t.Errorf("%d of %d loads ended", ended.Load(), running.Load())
		}
		if v, err := c.GetOrLoad(t.Context(), "1", load); !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("%q, %v", v, err)
		}
	})
}

// The log is told of a load in the background that fails, and of no other for a while.
func TestFailuresInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		c := newCache(t, tiered.Options[string]{
			Policy: tiered.Policy{TTL: time.Hour, RefreshAfter: time.Minute, StaleIfError: time.Hour, Jitter: -1},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		for i := range 3 {
			set(t, c, fmt.Sprint(i), "old")
		}
		time.Sleep(time.Minute)
		for i := range 3 {
			gets(t, c, fmt.Sprint(i), failing(new(int)), "old")
			synctest.Wait()
		}
		if n := strings.Count(log.String(), errDown.Error()); n != 1 {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
		time.Sleep(time.Minute)
		gets(t, c, "0", failing(new(int)), "old")
		synctest.Wait()
		if n := strings.Count(log.String(), errDown.Error()); n != 2 || !strings.Contains(log.String(), "suppressed=2") {
			t.Errorf("a minute later:\n%s", log.String())
		}
	})
}

// Values that were loaded together, in four processes without Redis, are refreshed at different times, and nobody ever waits.
func TestRefreshesSpread(t *testing.T) {
	t.Parallel()
	const (
		refreshAfter = 100 * time.Second
		slot         = 5 * time.Second
		slots        = 400 // of which the second half is looked at
	)
	// worst is how much more than the mean is loaded in a slot.
	worst := func(t *testing.T, p tiered.Policy, takes time.Duration) (worst float64) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var mu sync.Mutex
			perSlot := make([]int, slots+1)
			load := func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
				mu.Lock()
				perSlot[min(slots, int(time.Since(began)/slot))]++
				mu.Unlock()
				if takes == 0 {
					return "v", nil
				}
				timer := time.NewTimer(takes)
				defer timer.Stop()
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
				return "v", nil
			}
			var callers sync.WaitGroup
			for range 4 {
				c := newCache(t, tiered.Options[string]{Policy: p})
				callers.Go(func() { hitSteadily(t, c, load, slots*slot) })
			}
			callers.Wait()
			mu.Lock() // loads in the background go on
			defer mu.Unlock()
			later, sum, most := perSlot[slots/2:slots], 0, 0
			for _, n := range later {
				sum, most = sum+n, max(most, n)
			}
			worst = float64(most) * float64(len(later)) / float64(sum)
		})
		return worst
	}
	p := tiered.Policy{TTL: 300 * time.Second, RefreshAfter: refreshAfter, Jitter: 0.2}
	if w := worst(t, p, 5*time.Second); w > 3 {
		t.Errorf("one slot has %.1f times the mean", w)
	}
	p.Jitter = -1
	if w := worst(t, p, 0); w < 10 { // so that the test can fail
		t.Errorf("without jitter, and with loads that take no time, one slot has %.1f times the mean", w)
	}
}

// hitSteadily asks for each of 200 keys once a second. Only the first time may take any.
func hitSteadily(t *testing.T, c *tiered.Cache[string], load tiered.Loader[string], during time.Duration) {
	var first sync.WaitGroup
	for i := range 200 {
		first.Go(func() { gets(t, c, fmt.Sprint(i), load, "v") })
	}
	first.Wait()
	for began := time.Now(); time.Since(began) < during; time.Sleep(time.Second) {
		asked := time.Now()
		for i := range 200 {
			gets(t, c, fmt.Sprint(i), load, "v")
		}
		if d := time.Since(asked); d > 0 {
			t.Errorf("somebody waited %v", d)
			return
		}
	}
}
