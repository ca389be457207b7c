package tiered_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// What is lost in Redis invalidates what depends on it.
func TestLostTagRecords(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]struct {
		key  string
		left []string
	}{
		"a tag's record": {"tc:test!tag:x", []string{"other", "untagged"}},
		"the epoch":      {"tc:test!era{test}", nil},
		"the count":      {"tc:test!count{test}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, a, b := twoProcesses(t, tiered.Tracking)
			ctx := t.Context()
			all := []string{"k", "other", "untagged"}
			if err := errors.Join(a.Set(ctx, "k", "v", "x"), a.Set(ctx, "other", "v", "y"), a.Set(ctx, "untagged", "v")); err != nil {
				t.Fatal(err)
			}
			for _, key := range all {
				keep(t, b, key, "v")
			}
			if n := s.Do("DEL", lost.key); n != int64(1) {
				t.Fatalf("%v keys deleted", n)
			}
			fresh := newProcess(t, s, tiered.RedisOptions{}, longLived)
			for _, c := range []*tiered.Cache[string]{fresh, a, b} {
				if name == "the count" && c != fresh {
					// A process that knows the epoch is notified of the new one when another process has begun it.
					if _, err := fresh.Get(ctx, "k"); err != tiered.ErrNotFound {
						t.Error(err)
					}
				}
				waitFor(t, func() bool {
					got, err := c.GetMany(ctx, all...)
					return err == nil && slices.Equal(slices.Sorted(maps.Keys(got)), lost.left)
				})
			}
		})
	}
}

// If Redis fails, an invalidation says so, and holds in its process.
func TestInvalidateWithoutRedis(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			o := lively(how)
			o.Timeout = time.Second
			c := newProcess(t, s, o, longLived)
			for _, key := range []string{"a", "b"} {
				if err := c.Set(t.Context(), key, "v", key); err != nil {
					t.Fatal(err)
				}
			}
			if how == tiered.Tracking {
				heardOf(t, s, c) // of its own writes
			}
			keep(t, c, "a", "v")
			keep(t, c, "b", "v")
			s.Kill()
			if err := c.InvalidateTags(t.Context(), "a"); err == nil {
				t.Error("no error of InvalidateTags")
			}
			if v, err := c.Get(t.Context(), "a"); err != tiered.ErrNotFound {
				t.Errorf("%q, %v", v, err)
			}
			if v, err := c.Get(t.Context(), "b"); v != "v" || err != nil {
				t.Errorf("another tag's: %q, %v", v, err)
			}
			if err := c.Clear(t.Context()); err == nil {
				t.Error("no error of Clear")
			}
			if v, err := c.Get(t.Context(), "b"); err != tiered.ErrNotFound {
				t.Errorf("after Clear: %q, %v", v, err)
			}
		})
	}
}

// Loads work whatever the keys of the epoch and the tags contain.
func TestDamagedTagRecords(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string][]any{
		"short epoch":      {"SET", "tc:test!era{test}", "short"},
		"count in words":   {"SET", "tc:test!count{test}", "many"},
		"count a fraction": {"SET", "tc:test!count{test}", "1.5"},
		"count negative":   {"SET", "tc:test!count{test}", "-1"},
		"a tag's record":   {"SET", "tc:test!tag:tag", "nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			s, a, _ := twoProcesses(t, tiered.Tracking)
			if err := a.Set(t.Context(), "before", "v", "tag"); err != nil {
				t.Fatal(err)
			}
			s.Do(damage...)
			fresh := newProcess(t, s, tiered.RedisOptions{}, longLived)
			if v, err := fresh.GetOrLoad(t.Context(), "k", tagged("v", "tag")); v != "v" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			if v, err := fresh.GetOrLoad(t.Context(), "k", noLoad[string](t)); v != "v" || err != nil {
				t.Errorf("again: %q, %v", v, err)
			}
			if err := fresh.InvalidateTags(t.Context(), "tag"); err != nil {
				t.Error(err)
			}
			if v := s.Do("EXISTS", "tc:test:k"); v != int64(1) {
				t.Error("Redis doesn't have it")
			}
		})
	}
}
