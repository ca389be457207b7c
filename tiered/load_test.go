package tiered_test

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

	"github.com/tiercache/tiercache/tiered"
)

func value[T any](v T) tiered.Loader[T] {
	return func(context.Context, *tiered.Entry[T]) (T, error) { return v, nil }
}

func noLoad[T any](t *testing.T) tiered.Loader[T] {
	return func(_ context.Context, e *tiered.Entry[T]) (v T, err error) {
		t.Errorf("%s was loaded", e.Key)
		return v, errors.New("not to be loaded")
	}
}

// gate is a loader that waits to be let go.
type gate struct {
	loads atomic.Int32
	open  chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) load(ctx context.Context, e *tiered.Entry[string]) (string, error) {
	n := g.loads.Add(1)
	select {
	case <-g.open:
		return fmt.Sprint("load ", n), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func TestFirstCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		g := newGate()
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.GetOrLoad(first, "k", g.load); !errors.Is(err, context.Canceled) {
				t.Errorf("the first caller got %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			wg.Go(func() {
				if v, err := c.GetOrLoad(t.Context(), "k", g.load); v != "load 1" || err != nil {
					t.Errorf("a waiting caller got %q, %v", v, err)
				}
			})
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		close(g.open)
		wg.Wait()
		if s := c.Stats(); g.loads.Load() != 1 || s.Loads != 1 || s.Collapsed != 100 || s.Misses != 1 {
			t.Errorf("%d loads, stats %+v", g.loads.Load(), s)
		}
	})
}

func TestEveryCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		g := newGate()
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _, _ = c.GetOrLoad(ctx, "k", g.load) })
		}
		synctest.Wait()
		leave()
		wg.Wait()
		close(g.open)
		synctest.Wait()
		if v, err := c.Get(t.Context(), "k"); v != "load 1" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

// The loader's context has the first caller's values, but neither its cancellation nor its deadline.
func TestLoaderContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{LoadTimeout: time.Minute}})
		type key struct{}
		ctx, leave := context.WithTimeout(context.WithValue(t.Context(), key{}, "trace"), time.Second)
		defer leave()
		start := time.Now()
		_, err := c.GetOrLoad(ctx, "k", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			if deadline, _ := ctx.Deadline(); deadline.Sub(start) != time.Minute {
				t.Errorf("deadline after %v", deadline.Sub(start))
			}
			return ctx.Value(key{}).(string), nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestHungLoader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{LoadTimeout: time.Second}})
		release := make(chan struct{})
		hang := func(context.Context, *tiered.Entry[string]) (string, error) {
			<-release
			return "too late", nil
		}
		start := time.Now()
		if _, err := c.GetOrLoad(t.Context(), "k", hang); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "LoadTimeout") {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("after %v", d)
		}
		// The key is free, and what the first loader returns later is dropped.
		if v, err := c.GetOrLoad(t.Context(), "k", value("second")); v != "second" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		close(release)
		synctest.Wait()
		if v, err := c.Get(t.Context(), "k"); v != "second" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		if s := c.Stats(); s.LoadErrors != 1 || s.Loads != 2 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestPanickingLoader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		cause := errors.New("boom")
		start := make(chan struct{})
		load := func(context.Context, *tiered.Entry[string]) (string, error) { <-start; panic(cause) }
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				defer func() {
					p, ok := recover().(*tiered.LoaderPanic)
					if !ok || p.Value != cause || !errors.Is(p, cause) || !strings.Contains(p.Error(), "TestPanickingLoader") {
						t.Errorf("panicked with %v", p)
					}
				}()
				v, err := c.GetOrLoad(t.Context(), "k", load)
				t.Errorf("returned %q, %v", v, err)
			})
		}
		synctest.Wait()
		close(start)
		wg.Wait()
		if v, err := c.GetOrLoad(t.Context(), "k", value("next")); v != "next" || err != nil {
			t.Errorf("after the panic: %q, %v", v, err)
		}
		// With nobody left to hear of it, the process lives on.
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, err := c.GetOrLoad(ctx, "other", load); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
	})
}

func TestGoexitInLoader(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	_, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) {
		runtime.Goexit()
		return "", nil
	})
	if err == nil || !strings.Contains(err.Error(), "Goexit") {
		t.Errorf("got %v", err)
	}
	if v, err := c.GetOrLoad(t.Context(), "k", value("next")); v != "next" || err != nil {
		t.Errorf("afterwards: %q, %v", v, err)
	}
}

func TestLoaderErrorReachesAllAndIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		cause := errors.New("the source is down")
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				_, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) {
					<-start
					return "", cause
				})
				if err != cause {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		close(start)
		wg.Wait()
		if v, err := c.GetOrLoad(t.Context(), "k", value("up again")); v != "up again" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

func TestNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{NotFoundTTL: time.Minute, Jitter: -1}})
		gone := fmt.Errorf("user 7: %w", tiered.ErrNotFound)
		if _, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) { return "", gone }); err != gone {
			t.Errorf("got %v", err)
		}
		if _, err := c.GetOrLoad(t.Context(), "k", noLoad[string](t)); err != tiered.ErrNotFound {
			t.Errorf("remembered: got %v", err)
		}
		if e, err := c.Lookup(t.Context(), "k"); err != tiered.ErrNotFound || e.State != tiered.NotFound || e.Found {
			t.Errorf("lookup: %+v, %v", e, err)
		}
		time.Sleep(time.Minute)
		if v, err := c.GetOrLoad(t.Context(), "k", value("born")); v != "born" || err != nil {
			t.Errorf("a minute later: %q, %v", v, err)
		}
		if s := c.Stats(); s.LoadErrors != 0 {
			t.Errorf("stats %+v", s)
		}

		unremembered := c.With(func(p *tiered.Policy) { p.NotFoundTTL = 0 })
		loads := 0
		for range 2 {
			_, err := unremembered.GetOrLoad(t.Context(), "other", func(context.Context, *tiered.Entry[string]) (string, error) {
				loads++
				return "", tiered.ErrNotFound
			})
			if err != tiered.ErrNotFound {
				t.Errorf("got %v", err)
			}
		}
		if loads != 2 {
			t.Errorf("%d loads without NotFoundTTL", loads)
		}
	})
}

// What was written while a load ran is what later readers get, and the load's result is not kept.
func TestWriteDuringLoad(t *testing.T) {
	for name, write := range map[string]func(*tiered.Cache[string], context.Context) error{
		"Set": func(c *tiered.Cache[string], ctx context.Context) error { return c.Set(ctx, "k", "new") },
		"SetMany": func(c *tiered.Cache[string], ctx context.Context) error {
			return c.SetMany(ctx, map[string]string{"k": "new"})
		},
		"Delete": func(c *tiered.Cache[string], ctx context.Context) error {
			return errors.Join(c.Delete(ctx, "k"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tiered.Options[string]{})
				old := newGate()
				var wg sync.WaitGroup
				wg.Go(func() {
					if v, err := c.GetOrLoad(t.Context(), "k", old.load); v != "load 1" || err != nil {
						t.Errorf("the earlier caller got %q, %v", v, err)
					}
				})
				synctest.Wait()
				if err := write(c, t.Context()); err != nil {
					t.Fatal(err)
				}
				if v, err := c.GetOrLoad(t.Context(), "k", value("new")); v != "new" || err != nil {
					t.Errorf("during the load: %q, %v", v, err)
				}
				close(old.open)
				wg.Wait()
				if v, err := c.Get(t.Context(), "k"); v != "new" || err != nil {
					t.Errorf("after the load: %q, %v", v, err)
				}
			})
		})
	}
}

func TestLoaderUsesTheCache(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	var inner error
	v, err := c.GetOrLoad(t.Context(), "page", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
		part, err := c.GetOrLoad(ctx, "part", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			_, inner = c.GetOrLoad(ctx, "page", value("itself")) // through another loader
			return "part", nil
		})
		if err != nil {
			return "", err
		}
		if _, err := c.GetOrLoad(ctx, "page", value("itself")); err == nil {
			t.Error("asking for the key being loaded is no error")
		}
		if _, err := c.Refresh(ctx, "page", value("itself")); err == nil {
			t.Error("refreshing the key being loaded is no error")
		}
		if _, err := tiered.GetOrLoadMany(ctx, c, []string{"page"}, func(s string) string { return s }, nothing); err == nil {
			t.Error("asking for the key being loaded in a batch is no error")
		}
		return "page of " + part, nil
	})
	if v != "page of part" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	if inner == nil || !strings.Contains(inner.Error(), "key it is loading") {
		t.Errorf("inside the inner loader: %v", inner)
	}
}

func nothing(context.Context, []string) (map[string]string, error) { return nil, nil }

// A context kept from a load that is over is no longer that load's.
func TestContextOutlivesItsLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		var kept context.Context
		_, _ = c.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			kept = context.WithoutCancel(ctx)
			return "", errors.New("fails")
		})
		g := newGate()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.GetOrLoad(t.Context(), "k", g.load) })
		synctest.Wait()
		wg.Go(func() {
			if v, err := c.GetOrLoad(kept, "k", noLoad[string](t)); v != "load 1" || err != nil {
				t.Errorf("got %q, %v", v, err)
			}
		})
		synctest.Wait()
		close(g.open)
		wg.Wait()
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{NotFoundTTL: time.Minute}})
		load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			if !e.Found {
				return "first", nil
			}
			return fmt.Sprintf("after %s at %v", e.Value, e.Age), nil
		}
		if v, err := c.Refresh(t.Context(), "k", load); v != "first" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		time.Sleep(time.Second)
		if v, err := c.Refresh(t.Context(), "k", load); v != "after first at 1s" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		down := errors.New("down")
		if _, err := c.Refresh(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) { return "", down }); err != down {
			t.Errorf("got %v", err)
		}
		if v, err := c.Get(t.Context(), "k"); v != "after first at 1s" || err != nil {
			t.Errorf("after a failed refresh: %q, %v", v, err)
		}
		if _, err := c.Refresh(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			e.Policy.NotFoundTTL = 0
			return "", tiered.ErrNotFound
		}); err != tiered.ErrNotFound {
			t.Errorf("got %v", err)
		}
		if e, err := c.Lookup(t.Context(), "k"); err != tiered.ErrNotFound || e.State != 0 {
			t.Errorf("after the source lost it: %+v, %v", e, err)
		}
	})
}

func TestRefreshSupersedesALoadAndIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		old, fresh := newGate(), newGate()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.GetOrLoad(t.Context(), "k", old.load) })
		synctest.Wait()
		for range 3 {
			wg.Go(func() {
				if _, err := c.Refresh(t.Context(), "k", fresh.load); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(fresh.open)
		synctest.Wait()
		_ = c.Set(t.Context(), "mark", "")
		close(old.open)
		wg.Wait()
		if fresh.loads.Load() != 1 {
			t.Errorf("%d loads for three refreshes", fresh.loads.Load())
		}
		if e, err := c.Lookup(t.Context(), "k"); err != nil || e.Value != "load 1" || e.Tier != tiered.Local {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

// What Lookup and a loader get of an entry is theirs to change.
func TestTagsAreCopies(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	if err := c.Set(t.Context(), "k", "v", "a", "b"); err != nil {
		t.Fatal(err)
	}
	e, _ := c.Lookup(t.Context(), "k")
	e.Tags[0] = "changed"
	_, _ = c.Refresh(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Tags = append(e.Tags[:0], "x")
		return "", errors.New("fails")
	})
	if e, err := c.Lookup(t.Context(), "k"); err != nil || e.Tags[0] != "a" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestAdaptivePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Hour, Jitter: -1}})
		token := func(ttl time.Duration) tiered.Loader[string] {
			return func(_ context.Context, e *tiered.Entry[string]) (string, error) {
				if e.Key == "" || e.Policy.TTL != time.Hour {
					t.Errorf("the loader got %+v", e)
				}
				e.Policy.TTL, e.Tags = ttl, []string{"oauth"}
				return "token", nil
			}
		}
		if _, err := c.GetOrLoad(t.Context(), "k", token(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if e, err := c.Lookup(t.Context(), "k"); err != nil || len(e.Tags) != 1 || e.Tags[0] != "oauth" {
			t.Errorf("%+v, %v", e, err)
		}
		time.Sleep(time.Minute - 1)
		if v, err := c.Get(t.Context(), "k"); v != "token" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
			t.Errorf("a minute later: %v", err)
		}
		for _, ttl := range []time.Duration{0, -time.Second} {
			if v, err := c.GetOrLoad(t.Context(), "not kept", token(ttl)); v != "token" || err != nil {
				t.Errorf("got %q, %v", v, err)
			}
			if _, err := c.Get(t.Context(), "not kept"); err != tiered.ErrNotFound {
				t.Errorf("TTL %v: %v", ttl, err)
			}
		}
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[int]{Policy: tiered.Policy{TTL: 100 * time.Second, Jitter: 0.5}})
		for i := range 1_000 {
			if err := c.Set(t.Context(), fmt.Sprint(i), i); err != nil {
				t.Fatal(err)
			}
		}
		left := func() (n int) {
			for i := range 1_000 {
				if _, err := c.Get(t.Context(), fmt.Sprint(i)); err == nil {
					n++
				}
			}
			return n
		}
		time.Sleep(50*time.Second - 1)
		if n := left(); n != 1_000 {
			t.Errorf("%d left just before the earliest expiry", n)
		}
		time.Sleep(25 * time.Second)
		if n := left(); n < 400 || n > 600 {
			t.Errorf("%d left half-way", n)
		}
		time.Sleep(25*time.Second + 1)
		if n := left(); n != 0 {
			t.Errorf("%d left after the TTL", n)
		}
	})
}

func TestCloseEndsLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		release := make(chan struct{})
		var ctxErr error
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.GetOrLoad(t.Context(), "heeds", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
				<-ctx.Done()
				ctxErr = ctx.Err()
				return "", ctxErr
			})
			if err != tiered.ErrClosed {
				t.Errorf("got %v", err)
			}
		})
		wg.Go(func() {
			_, err := c.GetOrLoad(t.Context(), "doesn't", func(context.Context, *tiered.Entry[string]) (string, error) {
				<-release
				return "", nil
			})
			if err != tiered.ErrClosed {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		close(release)
		synctest.Wait()
		if ctxErr == nil {
			t.Error("the loader's context didn't end")
		}
		_, err := c.GetOrLoad(t.Context(), "k", noLoad[string](t))
		_, err2 := c.Refresh(t.Context(), "k", noLoad[string](t))
		_, err3 := c.Lookup(t.Context(), "k")
		_, err4 := c.GetMany(t.Context(), "k")
		_, err5 := tiered.GetOrLoadMany(t.Context(), c, []string{"k"}, func(s string) string { return s }, nothing)
		for i, err := range []error{err, err2, err3, err4, err5, c.Set(t.Context(), "k", ""), c.Delete(t.Context(), "k"), c.SetMany(t.Context(), nil)} {
			if err != tiered.ErrClosed {
				t.Errorf("call %d after Close: %v", i, err)
			}
		}
	})
}
