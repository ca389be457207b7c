package tiered

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

// interlude is a go-redis hook that runs a function once, after the server has replied to a read or a write of the epoch and before the
// reader gets the reply.
type interlude struct {
	happen atomic.Pointer[func(cmd redis.Cmder)]
}

func (i *interlude) DialHook(next redis.DialHook) redis.DialHook { return next }
func (i *interlude) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (i *interlude) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if slices.ContainsFunc(cmd.Args(), isEpoch) {
			if happen := i.happen.Swap(nil); happen != nil {
				(*happen)(cmd)
				err = cmd.Err()
			}
		}
		return err
	}
}

func isEpoch(arg any) bool {
	s, ok := arg.(string)
	return ok && strings.HasPrefix(s, "tc:test!era")
}

// next sets the function to run.
func (i *interlude) next(f func(cmd redis.Cmder)) { i.happen.Store(&f) }

func one(context.Context, *Entry[string]) (string, error) { return "v", nil }

// If another process ends an epoch before this process has read it, this process's next Clear ends it too, for the values
// that depend on it.
func TestEraThatWasOutdatedWhenItWasLearned(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	client := s.Client(t)
	var learning interlude
	client.AddHook(&learning)
	c, other := openListening(t, client, PubSub), openListening(t, s.Client(t), PubSub) // under which the load's own store isn't reported
	if _, err := c.tags.Epoch(ctx); err != nil {
		t.Fatal(err)
	}
	c.tags.SeqChanged() // so that the load reads its position after it has found no value
	learning.next(func(redis.Cmder) {
		if err := other.Clear(ctx); err != nil {
			t.Error(err)
		}
		observe.Until(t, "the Clear is heard of", func() bool { return c.tags.KnownEpoch() == nil })
	})
	if v, err := c.GetOrLoad(ctx, "k", one); v != "v" || err != nil {
		t.Fatalf("%q, %v", v, err)
	}
	s.Do("CONFIG", "SET", "maxmemory", 1)
	if err := c.Clear(ctx); !errors.Is(err, ErrQueued) {
		t.Fatalf("a Clear that Redis refuses: %v", err)
	}
	if v, err := c.Get(ctx, "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the Clear: %q, %v", v, err)
	}
}

// After InvalidateTags this process gets no value with the tag, also if another process has just begun a new epoch, under which the
// tag has no record, and the report of that is still to come.
func TestInvalidateTagsBeforeAClearIsReported(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	client := s.Client(t)
	var clearing interlude
	client.AddHook(&clearing)
	c, other := openListening(t, s.Client(t), PubSub), openListening(t, client, PubSub)
	for name, invalidate := range map[string]func(context.Context, ...string) error{"invalidated": c.InvalidateTags, "expired": c.ExpireTags} {
		if err := c.Set(ctx, "k", "old", "tag"); err != nil {
			t.Fatal(err)
		}
		clearing.next(func(redis.Cmder) { // before it is published
			if err := invalidate(ctx, "tag"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if v, err := c.GetOrLoad(ctx, "k", one); v != "v" || err != nil {
				t.Errorf("%s: %q, %v", name, v, err)
			}
		})
		if err := other.Clear(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// openListening returns a cache on a server, as in a process of its own.
func openListening(t *testing.T, client redis.UniversalClient, how Invalidation) *Cache[string] {
	t.Helper()
	r, err := NewRedis(client, RedisOptions{Invalidation: how, Timeout: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Options[string]{Name: "test", Redis: r, MaxCost: 1000, Policy: Policy{TTL: time.Hour}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), r.Close()); err != nil {
			t.Error(err)
		}
		c, r = nil, nil // testing keeps this function until the last parallel test ends
	})
	return c
}

// A Set that can't read its position among the invalidations, while the last known epoch is being ended, leaves no value.
func TestEraThatEndsWhileItCannotBeHad(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	client := s.Client(t)
	var learning interlude
	client.AddHook(&learning)
	c, other := openListening(t, client, None), openListening(t, s.Client(t), None)
	if err := c.Set(ctx, "other", "v"); err != nil {
		t.Fatal(err)
	}
	learning.next(func(cmd redis.Cmder) {
		if err := other.Clear(ctx); err != nil {
			t.Error(err)
		}
		c.tags.EpochChanged()
		cmd.SetErr(io.EOF)
	})
	err := c.Set(ctx, "k", "v")
	if v, missing := c.Get(ctx, "k"); err == nil && (v != "v" || missing != nil) || err != nil && !errors.Is(err, ErrQueued) {
		t.Errorf("Set: %v, and then %q, %v", err, v, missing)
	}
}
