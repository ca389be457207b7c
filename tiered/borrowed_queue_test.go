package tiered_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// lentWrites are writes of "u1" and of its tag, with strings that are overwritten after them.
var lentWrites = map[string]func(ctx context.Context, c *tiered.Cache[string], key, tag string) error{
	"Set": func(ctx context.Context, c *tiered.Cache[string], key, tag string) error {
		return c.Set(ctx, key, "new "+of("u1"), tag)
	},
	"SetMany": func(ctx context.Context, c *tiered.Cache[string], key, tag string) error {
		return c.SetMany(ctx, map[string]string{key: "new " + of("u1")}, tag)
	},
	"Delete": func(ctx context.Context, c *tiered.Cache[string], key, _ string) error { return c.Delete(ctx, key) },
	"Expire": func(ctx context.Context, c *tiered.Cache[string], key, _ string) error { return c.Expire(ctx, key) },
	"InvalidateTags": func(ctx context.Context, c *tiered.Cache[string], _, tag string) error {
		return c.InvalidateTags(ctx, tag)
	},
}

// What is queued is of the keys and tags that the write was called with.
func TestKeyOfAQueuedWriteIsOverwritten(t *testing.T) {
	t.Parallel()
	for mode, how := range modes {
		for name, write := range lentWrites {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				a, b := newFaultyProcess(t, s, lively(how)), newProcess(t, s, lively(tiered.None), tiered.Policy{LocalTTL: time.Millisecond})
				for _, user := range []string{"1", "2"} {
					set(t, a.Cache, "u"+user, of("u"+user), "t"+user)
				}
				a.cutOff()
				key, tag := lend("u1"), lend("t1")
				waitFor(t, func() bool { // the connection may not have broken yet
					key.write("u1")
					tag.write("t1")
					err := write(t.Context(), a.Cache, key.text(), tag.text())
					key.write("u2")
					tag.write("t2")
					return errors.Is(err, tiered.ErrQueued)
				})
				a.reconnect(t)
				a.replays(t)
				got, err := b.GetMany(t.Context(), "u1", "u2")
				if err != nil || !maps.Equal(got, map[string]string{"u2": of("u2")}) {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
	}
}

// A call to Redis that goes on after it was given up changes what it was to change.
func TestKeyOfAnAbandonedWriteIsOverwritten(t *testing.T) {
	t.Parallel()
	for name, write := range lentWrites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			a, b := newFaultyProcess(t, s, lively(tiered.Tracking)), newProcess(t, s, lively(tiered.None), tiered.Policy{LocalTTL: time.Millisecond})
			for _, user := range []string{"1", "2"} {
				set(t, a.Cache, "u"+user, of("u"+user), "t"+user)
			}
			key, tag := lend("u1"), lend("t1")
			s.Freeze()
			queued(t, write(t.Context(), a.Cache, key.text(), tag.text()))
			key.write("u2")
			tag.write("t2")
			s.Thaw()
			a.replays(t)
			got, err := b.GetMany(t.Context(), "u1", "u2")
			if delete(got, "u1"); err != nil || !maps.Equal(got, map[string]string{"u2": of("u2")}) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// Trace and the log are told of the keys of the writes that were queued.
func TestQueuedTellsOfOwnKeys(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var told []string
	c := newCache(t, tiered.Options[string]{
		Redis: newRedis(t, s, lively(tiered.Tracking)),
		Trace: &tiered.Trace{Queued: func(keys []string, _ error) { told = append(told, keys...) }},
	})
	set(t, c, "u2", of("u2"))
	s.Freeze()
	defer s.Thaw()
	key := lend("u1")
	queued(t, c.Delete(t.Context(), key.text()))
	queued(t, c.Set(t.Context(), key.text(), "v", "a tag"))
	key.write("u2")
	if len(told) != 2 || told[0] != "u1" || told[1] != "u1" {
		t.Errorf("told of %q", told)
	}
}
