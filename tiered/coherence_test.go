package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

var longLived = tiered.Policy{TTL: time.Hour}

// keep has the process read the key into its local tier, from where it serves it then.
func keep(t testing.TB, c *tiered.Cache[string], key, want string) {
	t.Helper()
	waitFor(t, func() bool {
		e, err := c.Lookup(t.Context(), key)
		if err != nil || e.Value != want {
			t.Fatalf("%s: %+v, %v; want %q", key, e, err, want)
		}
		return e.Tier == tiered.Local
	})
}

// follows waits until the process serves the value, or nothing for "".
func follows(t testing.TB, c *tiered.Cache[string], key, want string) {
	t.Helper()
	waitFor(t, func() bool {
		v, err := c.Get(t.Context(), key)
		if want == "" {
			return err == tiered.ErrNotFound
		}
		return err == nil && v == want
	})
}

// What one process changes, another one's local tier follows.
func TestLocalTierFollows(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	changes := map[string]struct {
		change func(a *tiered.Cache[string]) error
		want   string
	}{
		"Set":            {func(a *tiered.Cache[string]) error { return a.Set(ctx, "k", "new") }, "new"},
		"SetMany":        {func(a *tiered.Cache[string]) error { return a.SetMany(ctx, map[string]string{"k": "new", "l": "x"}) }, "new"},
		"Delete":         {func(a *tiered.Cache[string]) error { return a.Delete(ctx, "k", "l") }, ""},
		"Expire":         {func(a *tiered.Cache[string]) error { return a.Expire(ctx, "k") }, ""},
		"InvalidateTags": {func(a *tiered.Cache[string]) error { return a.InvalidateTags(ctx, "tag") }, ""},
		"Clear":          {func(a *tiered.Cache[string]) error { return a.Clear(ctx) }, ""},
		"Refresh":        {func(a *tiered.Cache[string]) error { return second(a.Refresh(ctx, "k", value("new"))) }, "new"},
		"Refresh to nothing": {func(a *tiered.Cache[string]) error {
			_, err := a.Refresh(ctx, "k", func(context.Context, *tiered.Entry[string]) (string, error) { return "", tiered.ErrNotFound })
			if errors.Is(err, tiered.ErrNotFound) {
				return nil
			}
			return fmt.Errorf("want ErrNotFound, got %w", err)
		}, ""},
	}
	for mode, how := range modes {
		if how == tiered.None {
			continue
		}
		for name, ch := range changes {
			t.Run(mode+"/"+name, func(t *testing.T) {
				s := redistest.Start(t)
				o := tiered.RedisOptions{Invalidation: how}
				a, b := newProcess(t, s, o, longLived), newProcess(t, s, o, longLived)
				if err := errors.Join(a.Set(ctx, "k", "old", "tag"), a.Set(ctx, "untouched", "v")); err != nil {
					t.Fatal(err)
				}
				keep(t, b, "k", "old")
				keep(t, b, "untouched", "v")
				if err := ch.change(a); err != nil {
					t.Fatal(err)
				}
				if v, err := a.Get(ctx, "k"); v != ch.want || (err != nil) != (ch.want == "") {
					t.Errorf("here: %q, %v", v, err)
				}
				follows(t, b, "k", ch.want)
				if e, err := b.Lookup(ctx, "untouched"); name != "Clear" && (err != nil || e.Value != "v") {
					t.Errorf("another key: %+v, %v", e, err)
				}
			})
		}
	}
}

// What other programs do, and Redis by itself, is followed too where Redis reports it.
func TestLocalTierFollowsRedis(t *testing.T) {
	t.Parallel()
	for name, ch := range map[string]struct {
		change func(s *redistest.Server)
		want   string
	}{
		"SET":      {func(s *redistest.Server) { s.Do("SET", "tc:test:k", `"new"`) }, "new"},
		"DEL":      {func(s *redistest.Server) { s.Do("DEL", "tc:test:k") }, ""},
		"UNLINK":   {func(s *redistest.Server) { s.Do("UNLINK", "tc:test:k") }, ""},
		"PEXPIRE":  {func(s *redistest.Server) { s.Do("PEXPIRE", "tc:test:k", 1) }, ""},
		"RENAME":   {func(s *redistest.Server) { s.Do("SET", "x", `"new"`); s.Do("RENAME", "x", "tc:test:k") }, "new"},
		"FLUSHALL": {func(s *redistest.Server) { s.Do("FLUSHALL") }, ""},
		"eviction": {func(s *redistest.Server) {
			s.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
			s.Do("CONFIG", "SET", "maxmemory", "1")
			_ = s.Client(t).Set(t.Context(), "x", 1, 0).Err() // refused, once everything is evicted
			s.Do("CONFIG", "SET", "maxmemory", "0")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			a := newProcess(t, s, tiered.RedisOptions{}, longLived)
			b := newProcess(t, s, tiered.RedisOptions{}, longLived)
			if err := a.Set(t.Context(), "k", "old"); err != nil {
				t.Fatal(err)
			}
			keep(t, b, "k", "old")
			ch.change(s)
			follows(t, a, "k", ch.want)
			follows(t, b, "k", ch.want)
		})
	}
}

// A value that another program wrote is served from the local tier, and what it becomes is followed.
func TestForeignValueIsFollowed(t *testing.T) {
	t.Parallel()
	s, a, _ := twoProcesses(t, tiered.Tracking)
	s.Do("SET", "tc:test:k", `"one"`)
	keep(t, a, "k", "one")
	s.Do("SET", "tc:test:k", `"two"`)
	follows(t, a, "k", "two")
	if err := a.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := a.Get(t.Context(), "k"); v != "two" || err != nil {
		t.Errorf("Clear isn't for what others wrote: %q, %v", v, err)
	}
}

// Two caches of one name in one process are two local tiers.
func TestTwoCachesOfOneName(t *testing.T) {
	t.Parallel()
	for mode, how := range modes {
		if how == tiered.None {
			continue
		}
		t.Run(mode, func(t *testing.T) {
			r := newRedis(t, redistest.Start(t), tiered.RedisOptions{Invalidation: how})
			a := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
			b := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
			for i, change := range []func(value string) error{
				func(v string) error { return a.Set(t.Context(), "k", v, "tag") },
				func(v string) error {
					return errors.Join(a.Delete(t.Context(), "k"), a.Set(t.Context(), "k", v, "tag"))
				},
				func(v string) error {
					return errors.Join(a.InvalidateTags(t.Context(), "tag"), a.Set(t.Context(), "k", v, "tag"))
				},
				func(v string) error {
					return errors.Join(a.Clear(t.Context()), a.Set(t.Context(), "k", v, "another tag"))
				},
			} {
				want := fmt.Sprint("v", i)
				if err := change(want); err != nil {
					t.Fatal(err)
				}
				follows(t, b, "k", want)
				keep(t, b, "k", want)
			}
			g := newGate()
			first := g.begin(t, a, "l")
			other := begin(t, b, "l", noLoad[string](t))
			close(g.open)
			first.gets(t, "load 1")
			other.gets(t, "load 1")
		})
	}
}

// With None others' changes are seen when LocalTTL is over, and invalidated tags and a Clear much sooner.
func TestNone(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := tiered.RedisOptions{Invalidation: tiered.None, Heartbeat: 100 * time.Millisecond, Timeout: time.Second}
	a := newProcess(t, s, o, longLived)
	b := newProcess(t, s, o, longLived)
	brief := newProcess(t, s, o, tiered.Policy{TTL: time.Hour, LocalTTL: 100 * time.Millisecond})
	for _, key := range []string{"tagged", "cleared", "changed"} {
		if err := a.Set(t.Context(), key, "old", key); err != nil {
			t.Fatal(err)
		}
		keep(t, b, key, "old")
	}
	if err := a.Set(t.Context(), "changed", "new"); err != nil {
		t.Fatal(err)
	}
	follows(t, brief, "changed", "new")
	if v, err := b.Get(t.Context(), "changed"); v != "old" || err != nil {
		t.Errorf("before LocalTTL is over: %q, %v", v, err)
	}
	if err := a.InvalidateTags(t.Context(), "tagged"); err != nil {
		t.Fatal(err)
	}
	follows(t, b, "tagged", "")
	if v, err := b.Get(t.Context(), "cleared"); v != "old" || err != nil {
		t.Errorf("another tag's: %q, %v", v, err)
	}
	if err := a.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	follows(t, b, "cleared", "")
}
