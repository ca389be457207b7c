package tiered_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

var behindPolicy = tiered.Policy{TTL: time.Hour, NotFoundTTL: time.Hour, StoreBehind: true}

// frozen is a loader in which Redis freezes, so that what it returns isn't stored before Thaw.
func frozen(s *redistest.Server, v string, err error) tiered.Loader[string] {
	return func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Tags = []string{"tag"}
		s.Freeze()
		return v, err
	}
}

// knows has the cache know a tag and Redis's time, so that nothing but the store is left to do behind.
func knows(t *testing.T, c *tiered.Cache[string]) {
	t.Helper()
	set(t, c, "other", "v", "tag")
	keep(t, c, "other", "v")
}

func TestStoreBehind(t *testing.T) {
	t.Parallel()
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			a := newProcess(t, s, tiered.RedisOptions{Invalidation: how, Timeout: 20 * time.Second}, behindPolicy)
			b := newProcess(t, s, tiered.RedisOptions{Invalidation: how, Timeout: 20 * time.Second}, behindPolicy)
			knows(t, a)
			gets(t, a, "k", frozen(s, "new", nil), "new")
			gets(t, a, "k", noLoad[string](t), "new") // joins it
			s.Thaw()
			gets(t, b, "k", noLoad[string](t), "new")
			gets(t, a, "k", noLoad[string](t), "new")
			follows(t, a, "k", "new")
			if stored(s, "k") != "new" {
				t.Error("Redis doesn't have it")
			}
		})
	}
}

// Absences are stored behind too.
func TestAbsenceStoredBehind(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{Timeout: 20 * time.Second}, behindPolicy)
	knows(t, c)
	gone := errors.Join(tiered.ErrNotFound)
	for _, load := range []tiered.Loader[string]{frozen(s, "", gone), noLoad[string](t)} {
		if v, err := c.GetOrLoad(t.Context(), "k", load); err != gone {
			t.Errorf("%q, %v", v, err)
		}
	}
	s.Thaw()
	waitFor(t, func() bool {
		e, err := c.Lookup(t.Context(), "k")
		return err == tiered.ErrNotFound && e.State == tiered.NotFound
	})
}

// What is deleted, written or invalidated while it is being stored doesn't come back.
func TestChangeWhileStoredBehind(t *testing.T) {
	t.Parallel()
	changes := map[string]func(ctx context.Context, c *tiered.Cache[string]) error{
		"Delete":         func(ctx context.Context, c *tiered.Cache[string]) error { return c.Delete(ctx, "k") },
		"Expire":         func(ctx context.Context, c *tiered.Cache[string]) error { return c.Expire(ctx, "k") },
		"Set":            func(ctx context.Context, c *tiered.Cache[string]) error { return c.Set(ctx, "k", "new") },
		"InvalidateTags": func(ctx context.Context, c *tiered.Cache[string]) error { return c.InvalidateTags(ctx, "tag") },
		"Clear":          func(ctx context.Context, c *tiered.Cache[string]) error { return c.Clear(ctx) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			c := newProcess(t, s, tiered.RedisOptions{Timeout: 20 * time.Second}, behindPolicy)
			knows(t, c)
			gets(t, c, "k", frozen(s, "old", nil), "old")
			changing := begun(func() (string, error) { return "", change(t.Context(), c) })
			s.Thaw()
			changing.gets(t, "")
			for range 100 {
				gets(t, c, "k", value("new"), "new")
			}
		})
	}
}

// Close waits until what was loaded is stored.
func TestCloseWhileStoredBehind(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{Timeout: 20 * time.Second}, behindPolicy)
	knows(t, c)
	gets(t, c, "k", frozen(s, "new", nil), "new")
	closing := begun(func() (string, error) { return "", c.Close() })
	select {
	case <-closing.done:
		t.Error("closed before it is stored")
	case <-time.After(20 * time.Millisecond):
	}
	s.Thaw()
	closing.gets(t, "")
	if stored(s, "k") != "new" {
		t.Error("it isn't stored")
	}
}

// A batch doesn't wait for the store either.
func TestBatchStoredBehind(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := newProcess(t, s, tiered.RedisOptions{Timeout: 20 * time.Second}, behindPolicy)
	b := newProcess(t, s, tiered.RedisOptions{Timeout: 20 * time.Second}, behindPolicy)
	knows(t, a)
	keys := []string{"1", "2"}
	got, err := tiered.GetOrLoadMany(t.Context(), a, keys, self, func(_ context.Context, keys []string) (map[string]string, error) {
		s.Freeze()
		return map[string]string{"1": "1"}, nil
	})
	if len(got) != 1 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	load := func(_ context.Context, keys []string) (map[string]string, error) {
		t.Errorf("%v were loaded", keys)
		return nil, nil
	}
	for _, c := range []*tiered.Cache[string]{a, b} {
		if got, err := tiered.GetOrLoadMany(t.Context(), c, keys, self, load); len(got) != 1 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		if c == a {
			s.Thaw()
		}
	}
}

// After a Refresh the process has what that returned.
func TestRefreshIsNotStoredBehind(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{}, behindPolicy)
	for range 100 {
		set(t, c, "k", "old")
		keep(t, c, "k", "old")
		if v, err := c.Refresh(t.Context(), "k", value("new")); v != "new" || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
		gets(t, c, "k", noLoad[string](t), "new")
		if t.Failed() {
			return
		}
	}
}
