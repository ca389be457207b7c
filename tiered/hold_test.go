package tiered_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// hold begins a hold that lasts until it is ended.
func hold(t testing.TB, c *tiered.Cache[string], keys, tags []string) *tiered.Hold {
	t.Helper()
	h, err := c.Hold(t.Context(), time.Hour, keys, tags)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// heldSource is a row that its loads read when they begin.
type heldSource struct{ row atomic.Value }

func newHeldSource(v string) *heldSource {
	s := new(heldSource)
	s.row.Store(v)
	return s
}

func (s *heldSource) load(_ context.Context, e *tiered.Entry[string]) (string, error) {
	e.Tags = []string{"tag"}
	return s.row.Load().(string), nil
}

// By key and by tag, the source's value before a commit is nowhere after it, and the new value is cached again.
func TestHold(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]struct{ keys, tags []string }{"key": {[]string{"k"}, nil}, "tag": {nil, []string{"tag"}}, "both": {[]string{"k", "k"}, []string{"tag"}}} {
		for mode, how := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				s := redistest.Start(t)
				a, b := newProcess(t, s, lively(how), longLived), newProcess(t, s, lively(how), longLived)
				src := newHeldSource("old")
				gets(t, a, "k", src.load, "old")
				if how != tiered.None {
					keep(t, b, "k", "old")
				}
				h := hold(t, a, what.keys, what.tags)
				if v, err := a.Get(t.Context(), "k"); err != tiered.ErrNotFound {
					t.Errorf("held: %q, %v", v, err)
				}
				if how != tiered.None {
					follows(t, b, "k", "")
				}
				for _, c := range []*tiered.Cache[string]{a, b} {
					start := time.Now()
					gets(t, c, "k", src.load, "old")
					if d := time.Since(start); d > 5*time.Second {
						t.Errorf("a read took %v", d)
					}
				}
				if isHeld(s, "k") != (len(what.keys) > 0) {
					t.Errorf("the key is a %v in Redis", s.Do("TYPE", "tc:test:k"))
				}
				src.row.Store("new")
				if err := h.Invalidate(t.Context()); err != nil {
					t.Fatal(err)
				}
				gets(t, a, "k", src.load, "new")
				waitFor(t, func() bool {
					v, err := b.GetOrLoad(t.Context(), "k", src.load)
					return err == nil && v == "new" && stored(s, "k") == "new"
				})
				if err := h.Invalidate(t.Context()); err == nil {
					t.Error("it could be ended twice")
				}
				if err := h.Release(t.Context()); err == nil {
					t.Error("it could be ended twice")
				}
			})
		}
	}
}

// After a rollback the value that is loaded again is stored.
func TestHoldIsReleased(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]struct{ keys, tags []string }{"key": {[]string{"k"}, nil}, "tag": {nil, []string{"tag"}}} {
		t.Run(name, func(t *testing.T) {
			s, a, b := twoProcesses(t, tiered.Tracking)
			src := newHeldSource("old")
			h := hold(t, a, what.keys, what.tags)
			gets(t, b, "k", src.load, "old")
			if err := h.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool {
				gets(t, b, "k", src.load, "old")
				return stored(s, "k") == "old"
			})
		})
	}
}

// A load that began before or during a hold isn't stored, whatever becomes of the holder.
func TestLoadDuringAHold(t *testing.T) {
	t.Parallel()
	const key, tag = "key", "tag"
	for _, what := range []string{key, tag} {
		for _, begins := range []string{"before", "during"} {
			for _, ends := range []string{"Invalidate", "holder died"} {
				t.Run(what+"/"+begins+"/"+ends, func(t *testing.T) {
					s := redistest.Start(t)
					a, b := newProcess(t, s, lively(tiered.Tracking), longLived), newProcess(t, s, lively(tiered.Tracking), longLived)
					caughtUp(t, a, b)
					load, running, open := gated("old")
					var cl *call
					run := func() {
						cl = begin(t, b, "k", func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
							e.Tags = []string{"tag"}
							return load(ctx, e)
						})
						<-running
					}
					if begins == "before" {
						run()
					}
					var keys, tags []string
					if what == key {
						keys = []string{"k"}
					} else {
						tags = []string{"tag"}
					}
					h := hold(t, a, keys, tags)
					if begins == "during" {
						run()
					}
					if ends == "Invalidate" {
						if err := h.Invalidate(t.Context()); err != nil {
							t.Error(err)
						}
					} else {
						expireHold(t, s, what)
					}
					close(open)
					cl.gets(t, "old")
					if !isHeld(s, "k") && stored(s, "k") == "old" {
						t.Error("the old value is in Redis")
					}
					waitFor(t, func() bool {
						gets(t, a, "k", tagged("new", "tag"), "new")
						return stored(s, "k") == "new"
					})
				})
			}
		}
	}
}

// isHeld reports whether the key is held.
func isHeld(s *redistest.Server, key string) bool {
	return s.Do("TYPE", "tc:test:"+key) == "zset"
}

// expireHold makes the time of the hold of "k", or of "tag", be over.
func expireHold(t *testing.T, s *redistest.Server, what string) {
	if what == "tag" {
		s.Do("ZADD", "tc:test!tag:tag", "XX", 1, s.Do("ZRANGE", "tc:test!tag:tag", 0, 0).([]any)[0])
		return
	}
	s.Do("PEXPIRE", "tc:test:k", 1)
	waitFor(t, func() bool { return s.Do("EXISTS", "tc:test:k") == int64(0) })
}

// What others do with a held key or tag doesn't end the hold.
func TestHoldOutlivesOthers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	keys, tags := []string{"k"}, []string{"tag"}
	for name, act := range map[string]func(t *testing.T, c *tiered.Cache[string]) error{
		"Delete":         func(_ *testing.T, c *tiered.Cache[string]) error { return c.Delete(ctx, "k") },
		"Expire":         func(_ *testing.T, c *tiered.Cache[string]) error { return c.Expire(ctx, "k") },
		"InvalidateTags": func(_ *testing.T, c *tiered.Cache[string]) error { return c.InvalidateTags(ctx, "tag") },
		"ExpireTags":     func(_ *testing.T, c *tiered.Cache[string]) error { return c.ExpireTags(ctx, "tag") },
		"Clear":          func(_ *testing.T, c *tiered.Cache[string]) error { return c.Clear(ctx) },
		"Refresh": func(_ *testing.T, c *tiered.Cache[string]) error {
			return second(c.Refresh(ctx, "k", tagged("old", "tag")))
		},
		"another's commit":   func(t *testing.T, c *tiered.Cache[string]) error { return hold(t, c, keys, tags).Invalidate(ctx) },
		"another's rollback": func(t *testing.T, c *tiered.Cache[string]) error { return hold(t, c, keys, tags).Release(ctx) },
		"another's death": func(_ *testing.T, c *tiered.Cache[string]) error {
			return second(c.Hold(ctx, time.Millisecond, keys, tags))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, a, b := twoProcesses(t, tiered.Tracking)
			h := hold(t, a, keys, tags)
			if err := act(t, b); err != nil {
				t.Fatal(err)
			}
			for _, c := range []*tiered.Cache[string]{a, b} {
				if _, err := c.GetOrLoad(ctx, "k", tagged("old", "tag")); err != nil {
					t.Error(err)
				}
			}
			if !isHeld(s, "k") {
				t.Error("the key isn't held any more")
			}
			if v, err := b.GetOrLoad(ctx, "other", tagged("old", "tag")); v != "old" || err != nil || stored(s, "other") == "old" {
				t.Errorf("another key with the tag: %q, %v", v, err)
			}
			if err := h.Invalidate(ctx); err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool {
				gets(t, b, "other", tagged("v", "tag"), "v")
				return stored(s, "other") == "v"
			})
		})
	}
}

// A queued invalidation that is replayed doesn't end a hold of its key.
func TestReplayLeavesAHold(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*tiered.Cache[string]) error{
		"Delete": func(c *tiered.Cache[string]) error { return c.Delete(t.Context(), "k") },
		"Expire": func(c *tiered.Cache[string]) error { return c.Expire(t.Context(), "k") },
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			a := newProcess(t, s, lively(tiered.Tracking), longLived)
			p, _, b := behind(t, s, lively(tiered.Tracking))
			p.Refuse(true)
			p.Cut()
			queued(t, write(b))
			h := hold(t, a, []string{"k"}, nil)
			p.Refuse(false)
			waitFor(t, func() bool { return b.Stats().Queued == 0 })
			if n := s.Do("ZCARD", "tc:test:k"); n != int64(1) {
				t.Errorf("%v holders", n)
			}
			if err := h.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A load of a held key can be joined only for as long as a local hit may be behind Redis: nobody reports the commit of a process that died.
func TestHeldLoadIsNotJoinedForLong(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := newProcess(t, s, lively(tiered.Tracking), longLived)
	hold(t, a, []string{"k"}, nil)
	load, running, open := gated("old")
	first := begin(t, a, "k", load)
	<-running
	waitFor(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		v, err := a.GetOrLoad(ctx, "k", value("new"))
		return err == nil && v == "new"
	})
	close(open)
	first.gets(t, "old")
}

// The record of a tag is kept for longer than the values with it, and so is a hold in its place.
func TestHeldTagIsKept(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{}, tiered.Policy{TTL: 100 * time.Hour})
	set(t, c, "k", "v", "tag")
	for _, tag := range []string{"tag", "another"} {
		hold(t, c, nil, []string{tag})
		ms, _ := s.Do("PTTL", "tc:test!tag:"+tag).(int64)
		if d := time.Duration(ms) * time.Millisecond; d < 23*time.Hour || tag == "tag" && d < 199*time.Hour {
			t.Errorf("%s: %v", tag, d)
		}
	}
	hold(t, c, []string{"k"}, nil)
	if ms, _ := s.Do("PTTL", "tc:test:k").(int64); ms > time.Hour.Milliseconds() {
		t.Errorf("the hold of a key is kept for %d ms", ms)
	}
}

// A hold that can't be placed is an error, and what was placed is released.
func TestHoldFails(t *testing.T) {
	t.Parallel()
	t.Run("Redis is down", func(t *testing.T) {
		s := redistest.Start(t)
		a := newProcess(t, s, lively(tiered.Tracking), longLived)
		s.Kill()
		if _, err := a.Hold(t.Context(), 0, []string{"k"}, nil); !errors.Is(err, tiered.ErrQueued) {
			t.Error(err)
		}
		if _, err := a.Hold(t.Context(), 0, nil, []string{"tag"}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("no right", func(t *testing.T) {
		s := redistest.Start(t)
		client := s.UserClient(t, "somebody", slices.Concat(redistest.CacheRights, redistest.TrackingRights)...)
		r := openedRedis(t, client, lively(tiered.Tracking))
		c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
		if _, err := c.Hold(t.Context(), 0, []string{"k"}, nil); err == nil || !errors.Is(err, tiered.ErrQueued) {
			t.Error(err)
		}
		if err := c.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
		waitFor(t, func() bool { gets(t, c, "k", value("v"), "v"); return stored(s, "k") == "v" })
	})
	t.Run("wrong arguments", func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		for _, err := range []error{
			second(c.Hold(t.Context(), -1, nil, nil)), second(c.Hold(t.Context(), 1, nil, nil)),
			second(c.Hold(t.Context(), 0, []string{""}, nil)), second(c.Hold(t.Context(), 0, nil, []string{""})),
		} {
			if err == nil {
				t.Error("no error")
			}
		}
	})
}

// Without Redis the values are removed before and after, and when nobody ends the hold.
func TestHoldInProcess(t *testing.T) {
	t.Parallel()
	c := newCache(t, tiered.Options[string]{Policy: longLived})
	src := newHeldSource("old")
	for name, what := range map[string]struct{ keys, tags []string }{"key": {[]string{"k"}, nil}, "tag": {nil, []string{"tag"}}} {
		t.Run(name, func(t *testing.T) {
			src.row.Store("old")
			if err := c.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			gets(t, c, "k", src.load, "old")
			h := hold(t, c, what.keys, what.tags)
			gets(t, c, "k", src.load, "old")
			src.row.Store("new")
			if err := h.Invalidate(t.Context()); err != nil {
				t.Fatal(err)
			}
			gets(t, c, "k", src.load, "new")
			if _, err := c.Hold(t.Context(), 20*time.Millisecond, what.keys, what.tags); err != nil {
				t.Fatal(err)
			}
			gets(t, c, "k", src.load, "new")
			src.row.Store("newer")
			waitFor(t, func() bool {
				v, err := c.GetOrLoad(t.Context(), "k", src.load)
				return err == nil && v == "newer"
			})
		})
	}
}
