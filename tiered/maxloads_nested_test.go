package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Loaders that need other keys of their cache get these though all permits are theirs: a load of their own begins beyond the limit,
// at any depth, and so does one in the queue that they join. No time passes.
func TestNestedLoadsNeedNoPermit(t *testing.T) {
	needs := func(c *tiered.Cache[string], keys ...string) tiered.Loader[string] {
		return func(ctx context.Context, _ *tiered.Entry[string]) (all string, err error) {
			for _, key := range keys {
				v, err := c.GetOrLoad(ctx, key, value(key))
				if err != nil {
					return "", err
				}
				all += v
			}
			return all, nil
		}
	}
	for name, load := range map[string]func(t *testing.T, c *tiered.Cache[string]) tiered.Loader[string]{
		"one": func(_ *testing.T, c *tiered.Cache[string]) tiered.Loader[string] { return needs(c, "x", "y") },
		"deep": func(_ *testing.T, c *tiered.Cache[string]) tiered.Loader[string] {
			return func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
				return c.GetOrLoad(ctx, "deep", needs(c, "x", "y"))
			}
		},
		"refresh": func(_ *testing.T, c *tiered.Cache[string]) tiered.Loader[string] {
			return func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
				return c.Refresh(ctx, e.Key+" inner", needs(c, "x", "y"))
			}
		},
		"batch": func(_ *testing.T, c *tiered.Cache[string]) tiered.Loader[string] {
			return func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
				got, err := tiered.GetOrLoadMany(ctx, c, []string{"x", "y"}, self, many(""))
				return fmt.Sprint("xy"[:len(got)]), err
			}
		},
		"another cache between": func(t *testing.T, c *tiered.Cache[string]) tiered.Loader[string] {
			other := newCache(t, tiered.Options[string]{Name: "other"})
			return func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
				return other.GetOrLoad(ctx, e.Key, needs(c, "x", "y"))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("begins", func(t *testing.T) { testNested(t, load, "") })
			t.Run("joins", func(t *testing.T) { testNested(t, load, "x") })
		})
	}
}

// testNested runs two such loads where there are two permits. If waits isn't empty, a load of it waits in the queue before that.
func testNested(t *testing.T, load func(t *testing.T, c *tiered.Cache[string]) tiered.Loader[string], waits string) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{MaxLoads: 2})
		l := load(t, c)
		start, all := make(chan struct{}), []*call(nil)
		for i := range 2 {
			all = append(all, begin(t, c, fmt.Sprint("outer", i), func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
				<-start
				return l(ctx, e)
			}))
		}
		synctest.Wait()
		var first *call
		if waits != "" {
			first = begin(t, c, waits, value(waits))
			synctest.Wait()
			if s := c.Stats(); s.LoadsRunning != 2 || s.LoadsWaiting != 1 {
				t.Errorf("%+v", s)
			}
		}
		at := time.Now()
		close(start)
		for _, cl := range all {
			cl.gets(t, "xy")
		}
		if first != nil {
			first.gets(t, waits)
		}
		synctest.Wait()
		if s := c.Stats(); time.Since(at) != 0 || s.LoadsRunning != 0 || s.LoadsWaiting != 0 || s.Shed != 0 {
			t.Errorf("after %v %+v", time.Since(at), s)
		}
	})
}

// What runs beyond the limit counts: no other load begins until fewer run than the limit, so nested loads that hang can't pile up.
func TestNestedLoadsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{MaxLoads: 1, Policy: tiered.Policy{LoadTimeout: time.Second}})
		release := make(chan struct{})
		for i := range 10 {
			_, err := c.GetOrLoad(t.Context(), fmt.Sprint("outer", i), func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
				return c.GetOrLoad(ctx, e.Key+" inner", func(context.Context, *tiered.Entry[string]) (string, error) {
					<-release
					return "", errDown
				})
			})
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, tiered.ErrOverloaded) != (i > 0) {
				t.Error(i, err)
			}
		}
		synctest.Wait()
		if s := c.Stats(); s.LoadsRunning != 1 || s.Loads != 2 || s.Shed != 9 {
			t.Errorf("%+v", s)
		}
		close(release)
	})
}

// Two caches whose loaders need each other can take all of each other's permits. They wait until LoadTimeout, no longer.
func TestCachesThatNeedEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := tiered.Policy{LoadTimeout: time.Second}
		a := newCache(t, tiered.Options[string]{Name: "a", MaxLoads: 1, Policy: p})
		b := newCache(t, tiered.Options[string]{Name: "b", MaxLoads: 1, Policy: p})
		start := make(chan struct{})
		uses := func(other *tiered.Cache[string]) tiered.Loader[string] {
			return func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
				<-start
				return other.GetOrLoad(ctx, "inner", value("v"))
			}
		}
		first, second := begin(t, a, "outer", uses(b)), begin(t, b, "outer", uses(a))
		synctest.Wait()
		at := time.Now()
		close(start)
		for _, cl := range []*call{first, second} { // one may get the other's permit at the last moment
			if _, err := cl.wait(t); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		if d := time.Since(at); d != time.Second {
			t.Errorf("it took %v", d)
		}
		synctest.Wait()
		gets(t, a, "outer", uses(b), "v")
	})
}

// A batch is one load, however many ids it has, and its ids wait for one permit.
func TestBatchIsOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := overloaded(t, tiered.Policy{})
		ids := make([]string, 100)
		for i := range ids {
			ids[i] = fmt.Sprint(i)
		}
		batch := func() *call {
			return begun(func() (string, error) {
				got, err := tiered.GetOrLoadMany(t.Context(), c, ids, self, many("v"))
				return fmt.Sprint(len(got)), err
			})
		}
		first := batch()
		synctest.Wait()
		second, single := batch(), begin(t, c, "7", noLoad[string](t))
		synctest.Wait()
		if s := c.Stats(); s.LoadsRunning != 1 || s.LoadsWaiting != 1 {
			t.Errorf("%+v", s)
		}
		end()
		first.gets(t, "100")
		second.gets(t, "100")
		single.gets(t, "v")
		if s := c.Stats(); s.Loads != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// Once a loader's time is over nobody waits for the loads that it begins, and they don't begin beyond the limit.
func TestNestedLoadsOfAnOverdueLoader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{MaxLoads: 2, Policy: tiered.Policy{LoadTimeout: time.Second}})
		var running, most atomic.Int64
		slow := func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			n := running.Add(1)
			defer running.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(600 * time.Millisecond):
				return "v", nil
			}
		}
		_, err := c.GetOrLoad(t.Context(), "list", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			for i := range 100 {
				_, _ = c.GetOrLoad(ctx, fmt.Sprint("item", i), slow) // goes on though its time is over
			}
			return "done", nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(10 * time.Second)
		if s := c.Stats(); most.Load() > 2 || s.LoadsRunning+s.LoadsWaiting > 0 {
			t.Errorf("%d loads at a time; %+v", most.Load(), s)
		}
	})
}

// A context of a loader that has returned is of no load, whatever was made from it.
func TestContextOfAFormerLoader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{MaxLoads: 1})
		var kept context.Context
		_, _ = c.GetOrLoad(t.Context(), "first", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			kept = context.WithoutCancel(ctx)
			return "v", nil
		})
		synctest.Wait() // the load has ended, not only its caller's wait
		var running atomic.Int64
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				_, err := c.GetOrLoad(kept, fmt.Sprint(i), func(context.Context, *tiered.Entry[string]) (string, error) {
					if n := running.Add(1); n > 1 {
						t.Errorf("%d loads at a time", n)
					}
					time.Sleep(time.Second)
					running.Add(-1)
					return "v", nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}
