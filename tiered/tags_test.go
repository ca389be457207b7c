package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// tagged is a loader of a value with tags, which it gives when it is asked for.
func tagged(v string, tags ...string) tiered.Loader[string] {
	return func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Tags = tags
		return v, nil
	}
}

// places are where a cache can be: in its process alone, or with Redis and one of the ways to hear of changes.
func places(t *testing.T, test func(t *testing.T, c *tiered.Cache[string])) {
	t.Run("in-process", func(t *testing.T) { test(t, newCache(t, tiered.Options[string]{Policy: longLived})) })
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			test(t, newProcess(t, redistest.Start(t), tiered.RedisOptions{Invalidation: how}, longLived))
		})
	}
}

// The process that invalidates a tag doesn't serve what has it from the moment that InvalidateTags returns.
func TestInvalidateTags(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, c *tiered.Cache[string]) {
		ctx := t.Context()
		if _, err := c.GetOrLoad(ctx, "loaded", tagged("v", "a", "b")); err != nil {
			t.Fatal(err)
		}
		err := errors.Join(c.Set(ctx, "set", "v", "b", "c"), c.SetMany(ctx, map[string]string{"many1": "v", "many2": "v"}, "b"),
			c.Set(ctx, "other", "v", "a", "c"), c.Set(ctx, "untagged", "v"))
		if err != nil {
			t.Fatal(err)
		}
		keys := []string{"loaded", "set", "many1", "many2", "other", "untagged"}
		if got, err := c.GetMany(ctx, keys...); err != nil || len(got) != len(keys) {
			t.Errorf("before: %v, %v", got, err)
		}
		if err := c.InvalidateTags(ctx); err != nil {
			t.Error(err)
		}
		if got, err := c.GetMany(ctx, keys...); err != nil || len(got) != len(keys) {
			t.Errorf("no tag invalidated: %v, %v", got, err)
		}
		if err := c.InvalidateTags(ctx, "b", "nobody's", "b"); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"other": "v", "untagged": "v"}
		if got, err := c.GetMany(ctx, keys...); err != nil || !maps.Equal(got, want) {
			t.Errorf("after: %v, %v", got, err)
		}
		for _, key := range []string{"loaded", "set", "many1"} {
			if v, err := c.Get(ctx, key); err != tiered.ErrNotFound {
				t.Errorf("%s: %q, %v", key, v, err)
			}
			if v, err := c.GetOrLoad(ctx, key, tagged("new", "b")); v != "new" || err != nil {
				t.Errorf("%s: %q, %v", key, v, err)
			}
			if v, err := c.GetOrLoad(ctx, key, noLoad[string](t)); v != "new" || err != nil {
				t.Errorf("%s again: %q, %v", key, v, err)
			}
		}
	})
}

// A value whose tag nobody has used before is kept, and its tags are there wherever it is read.
func TestFirstTagIsKept(t *testing.T) {
	places(t, func(t *testing.T, c *tiered.Cache[string]) {
		if _, err := c.GetOrLoad(t.Context(), "k", tagged("v", "new", "newer")); err != nil {
			t.Fatal(err)
		}
		if v, err := c.GetOrLoad(t.Context(), "k", noLoad[string](t)); v != "v" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		if e, err := c.Lookup(t.Context(), "k"); err != nil || !slices.Equal(e.Tags, []string{"new", "newer"}) {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

// Tags that many writers and loaders use for the first time at the same time.
func TestFirstTagOfMany(t *testing.T) {
	t.Parallel()
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			_, a, b := twoProcesses(t, how)
			lost := 0
			for i := range 30 {
				tag := fmt.Sprint("tag", i)
				start := make(chan struct{})
				var wg sync.WaitGroup
				for n, c := range []*tiered.Cache[string]{a, b, a, b} {
					wg.Go(func() {
						<-start
						if err := c.Set(t.Context(), fmt.Sprint(tag, "/", n), "v", tag); err != nil {
							t.Error(err)
						}
					})
				}
				close(start)
				wg.Wait()
				for n := range 4 {
					if _, err := a.Get(t.Context(), fmt.Sprint(tag, "/", n)); err != nil {
						lost++
					}
				}
			}
			if lost > 0 {
				t.Errorf("%d of 120 values were set without an error and aren't there", lost)
			}
		})
	}
}

// A load under way when its tag is invalidated, or the cache cleared, is not kept.
func TestInvalidateDuringALoad(t *testing.T) {
	for name, invalidate := range map[string]func(ctx context.Context, c *tiered.Cache[string]) error{
		"InvalidateTags": func(ctx context.Context, c *tiered.Cache[string]) error { return c.InvalidateTags(ctx, "tag") },
		"Clear":          func(ctx context.Context, c *tiered.Cache[string]) error { return c.Clear(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			places(t, func(t *testing.T, c *tiered.Cache[string]) {
				if err := c.Set(t.Context(), "before", "v", "tag"); err != nil {
					t.Fatal(err)
				}
				loading, loaded := make(chan struct{}), make(chan struct{})
				first := begin(t, c, "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
					close(loading)
					<-loaded
					e.Tags = []string{"tag"}
					return "old", nil
				})
				<-loading
				if err := invalidate(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				// Who asks now joins the load, whose tags nobody knows yet, but doesn't get what it brings.
				second := begin(t, c, "k", value("new"))
				many := begun(func() (string, error) {
					got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"k"}, self, func(context.Context, []string) (map[string]string, error) {
						return map[string]string{"k": "new"}, nil
					})
					return got["k"], err
				})
				if name == "InvalidateTags" {
					waitFor(t, func() bool { return c.Stats().Collapsed == 2 })
				}
				close(loaded)
				first.gets(t, "old")
				second.gets(t, "new")
				many.gets(t, "new")
				if v, err := c.GetOrLoad(t.Context(), "k", noLoad[string](t)); v != "new" || err != nil {
					t.Errorf("kept %q, %v", v, err)
				}
			})
		})
	}
}

func TestClear(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, c *tiered.Cache[string]) {
		ctx := t.Context()
		if err := errors.Join(c.Set(ctx, "k", "v"), c.Set(ctx, "tagged", "v", "tag")); err != nil {
			t.Fatal(err)
		}
		if err := c.Clear(ctx); err != nil {
			t.Fatal(err)
		}
		if got, err := c.GetMany(ctx, "k", "tagged"); err != nil || len(got) != 0 {
			t.Errorf("%v, %v", got, err)
		}
		if v, err := c.GetOrLoad(ctx, "k", value("new")); v != "new" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		if v, err := c.GetOrLoad(ctx, "k", noLoad[string](t)); v != "new" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}

// Tags that were in use before a Clear are as good as new ones after it.
func TestTagsAfterClear(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, c *tiered.Cache[string]) {
		ctx := t.Context()
		for range 2 {
			if err := c.Set(ctx, "set", "v", "tag"); err != nil {
				t.Fatal(err)
			}
			if v, err := c.Get(ctx, "set"); v != "v" || err != nil {
				t.Errorf("set: %q, %v", v, err)
			}
			if v, err := c.GetOrLoad(ctx, "loaded", tagged("v", "tag")); v != "v" || err != nil {
				t.Errorf("loaded: %q, %v", v, err)
			}
			if v, err := c.GetOrLoad(ctx, "loaded", noLoad[string](t)); v != "v" || err != nil {
				t.Errorf("loaded again: %q, %v", v, err)
			}
			if err := c.Clear(ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A Clear is one command however many keys there are, and leaves other caches and foreign values alone.
func TestClearIsOneCommand(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	var made commandLog
	client.AddHook(&made)
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: tiered.None})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := newCache(t, tiered.Options[string]{Redis: r})
	other := newCache(t, tiered.Options[string]{Name: "test2", Redis: r})
	if err := errors.Join(c.SetMany(t.Context(), thousand("k"), "tag"), other.Set(t.Context(), "k", "v", "tag")); err != nil {
		t.Fatal(err)
	}
	made.take()
	if err := c.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := made.take(); !slices.Equal(got, []string{"set 1"}) {
		t.Errorf("Clear made %q", got)
	}
	if v, err := other.Get(t.Context(), "k"); v != "v" || err != nil {
		t.Errorf("another cache: %q, %v", v, err)
	}
}

// InvalidateTags makes one command for each tag and one for all of them, however many values have them.
func TestInvalidateTagsIsCheap(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	var made commandLog
	client.AddHook(&made)
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: tiered.None})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := newCache(t, tiered.Options[string]{Redis: r})
	if err := c.SetMany(t.Context(), thousand("k"), "a", "b"); err != nil {
		t.Fatal(err)
	}
	made.take()
	if err := c.InvalidateTags(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	if got := made.take(); !slices.Equal(got, []string{"eval 1", "eval 2"}) {
		t.Errorf("InvalidateTags made %q", got)
	}
}

// Invalidations, writes and reads at the same time: a read never gets what was invalidated before it began.
func TestInvalidationsRace(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, c *tiered.Cache[string]) {
		var source, invalidated atomic.Int64
		load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			e.Tags = []string{"tag"}
			return fmt.Sprintf("%09d", source.Load()), nil
		}
		done := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					least := fmt.Sprintf("%09d", invalidated.Load())
					if v, err := c.GetOrLoad(t.Context(), "k", load); err != nil || v < least {
						t.Errorf("got %q, %v after %s was invalidated", v, err, least)
						return
					}
				}
			})
		}
		for n := int64(1); n <= 300; n++ {
			source.Store(n)
			if err := c.InvalidateTags(t.Context(), "tag"); err != nil {
				t.Error(err)
			}
			invalidated.Store(n)
		}
		close(done)
		wg.Wait()
	})
}
