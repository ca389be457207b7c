package tiered_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// An expired value isn't served any more, by no process; the next load gets it.
func TestExpire(t *testing.T) {
	t.Parallel()
	for mode, how := range listeningModes {
		t.Run(mode, func(t *testing.T) {
			_, a, b := twoProcesses(t, how)
			if err := a.Set(t.Context(), "k", "old", "tag"); err != nil {
				t.Fatal(err)
			}
			keep(t, b, "k", "old")
			if err := a.Expire(t.Context(), "k", "absent", "k"); err != nil {
				t.Fatal(err)
			}
			if v, err := a.Get(t.Context(), "k"); err != tiered.ErrNotFound {
				t.Errorf("%q, %v", v, err)
			}
			if e, err := a.Lookup(t.Context(), "k"); err != tiered.ErrNotFound {
				t.Errorf("%+v, %v", e, err)
			}
			if got, err := a.GetMany(t.Context(), "k"); len(got) != 0 || err != nil {
				t.Errorf("%v, %v", got, err)
			}
			follows(t, b, "k", "")
			v, err := b.GetOrLoad(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
				if e.Value != "old" || !e.Found || e.State != tiered.Stale || e.Tier != tiered.Remote || len(e.Tags) != 1 {
					t.Errorf("the loader got %+v", e)
				}
				return e.Value, nil
			})
			if v != "old" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			if v, err := a.GetOrLoad(t.Context(), "k", noLoad[string](t)); v != "old" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		})
	}
}

// A batch and a refresh go on after an Expire too.
func TestExpireAndRefresh(t *testing.T) {
	t.Parallel()
	_, a, b := twoProcesses(t, tiered.Tracking)
	if err := errors.Join(a.Set(t.Context(), "k", "old"), a.Expire(t.Context(), "k")); err != nil {
		t.Fatal(err)
	}
	v, err := b.Refresh(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		if e.Value != "old" || e.State != tiered.Stale {
			t.Errorf("the loader got %+v", e)
		}
		return "new", nil
	})
	if v != "new" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	follows(t, a, "k", "new")
	if err := a.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got, err := tiered.GetOrLoadMany(t.Context(), a, []string{"k"}, self, loadSelf); err != nil || got["k"] != "k" {
		t.Errorf("%v, %v", got, err)
	}
}

// What can't be marked as expired is deleted: nothing, another program's value, and a load's lease.
func TestExpireOfOtherThings(t *testing.T) {
	t.Parallel()
	s, a, _ := twoProcesses(t, tiered.Tracking)
	s.Do("SET", "tc:test:foreign", `"v"`)
	keep(t, a, "foreign", "v")
	if err := a.Expire(t.Context(), "absent", "foreign"); err != nil {
		t.Fatal(err)
	}
	if n := s.Do("EXISTS", "tc:test:foreign", "tc:test:absent"); n != int64(0) {
		t.Errorf("%v keys are there", n)
	}
	if v, err := a.Get(t.Context(), "foreign"); err != tiered.ErrNotFound {
		t.Errorf("%q, %v", v, err)
	}
	g := newGate()
	load := g.begin(t, a, "k")
	if err := a.Expire(t.Context(), "k"); err != nil || leased(s, "k") {
		t.Errorf("leased, %v", err)
	}
	close(g.open)
	load.gets(t, "load 1")
}

func TestExpireInProcess(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	if err := errors.Join(c.Set(t.Context(), "k", "old"), c.Expire(t.Context(), "k", "absent")); err != nil {
		t.Fatal(err)
	}
	if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
		t.Errorf("%q, %v", v, err)
	}
	if v, err := c.GetOrLoad(t.Context(), "k", value("new")); v != "new" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

// A test's clock may begin long before the process did.
func TestExpireOnATestsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: failSafe})
		set(t, c, "k", "old")
		if err := c.Expire(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
			t.Errorf("%q, %v", v, err)
		}
		gets(t, c, "k", value("new"), "new")
	})
}

// An expired value goes with its tag, and with the cache.
func TestExpiredValueIsInvalidated(t *testing.T) {
	t.Parallel()
	for name, invalidate := range map[string]func(ctx context.Context, c *tiered.Cache[string]) error{
		"InvalidateTags": func(ctx context.Context, c *tiered.Cache[string]) error { return c.InvalidateTags(ctx, "tag") },
		"Clear":          func(ctx context.Context, c *tiered.Cache[string]) error { return c.Clear(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newProcess(t, redistest.Start(t), tiered.RedisOptions{}, longLived)
			err := errors.Join(c.Set(t.Context(), "k", "old", "tag"), c.Expire(t.Context(), "k"), invalidate(t.Context(), c))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.GetOrLoad(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
				if e.Found {
					t.Errorf("the loader got %+v", e)
				}
				return "new", nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// An Expire of what is stale already is one all the same to a Refresh that is under way.
func TestExpireTwice(t *testing.T) {
	t.Parallel()
	s, a, b := twoProcesses(t, tiered.Tracking)
	if err := errors.Join(a.Set(t.Context(), "k", "old"), a.Expire(t.Context(), "k")); err != nil {
		t.Fatal(err)
	}
	g := newGate()
	refresh := begun(func() (string, error) { return b.Refresh(t.Context(), "k", g.load) })
	waitFor(t, func() bool { return g.loads.Load() == 1 })
	if err := a.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	close(g.open)
	refresh.gets(t, "load 1")
	if got := stored(s, "k"); got != "old" {
		t.Errorf("Redis has %q", got)
	}
	if v, err := a.Get(t.Context(), "k"); err != tiered.ErrNotFound {
		t.Errorf("%q, %v", v, err)
	}
}
