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
		left := make(chan struct{})
		late := func(context.Context, *tiered.Entry[string]) (string, error) { <-left; panic(cause) }
		if _, err := c.GetOrLoad(ctx, "other", late); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(left)
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

// What Lookup and a loader get of an entry is theirs to change.
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
