package aftercommit_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/aftercommit"
)

// newCache returns a cache on the server, or with nil one in the process alone, which has the key "k".
func newCache(t *testing.T, name string, s *redistest.Server) *tiered.Cache[string] {
	t.Helper()
	o := tiered.Options[string]{Name: name}
	if s != nil {
		client := redis.NewClient(&redis.Options{Addr: s.Addr()})
		r, err := tiered.NewRedis(client, tiered.RedisOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = r.Close(), client.Close() })
		o.Redis = r
	}
	c, err := tiered.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Set(t.Context(), "k", "v", "tag"); err != nil {
		t.Fatal(err)
	}
	return c
}

func has(t *testing.T, c *tiered.Cache[string]) bool {
	t.Helper()
	_, err := c.Get(t.Context(), "k")
	return err == nil
}

// noCommit fails the test if it is called.
func noCommit(t *testing.T) func() error {
	return func() error { t.Error("it was committed"); return nil }
}

func TestCommitOnce(t *testing.T) {
	c := newCache(t, "c", nil)
	var ch aftercommit.Changes
	ch.Delete(c, "k")
	if err := ch.Commit(t.Context(), func() error { return nil }); err != nil || has(t, c) {
		t.Error(err)
	}
	if err := ch.Commit(t.Context(), noCommit(t)); err == nil || errors.Is(err, aftercommit.ErrCommitted) {
		t.Error(err)
	}
}

// Changes that come too late are an error, and don't hide that the transaction was committed.
func TestLateChanges(t *testing.T) {
	c := newCache(t, "c", nil)
	var ch aftercommit.Changes
	if err := ch.Commit(t.Context(), func() error { ch.Delete(c, "k"); return nil }); !errors.Is(err, aftercommit.ErrCommitted) || !has(t, c) {
		t.Error(err)
	}
}

// What is wrong in a transaction's changes keeps it from being committed, also if it may be committed without holds.
func TestWrongChanges(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, "c", s)
	for _, unheld := range []bool{false, true} {
		for what, spoil := range map[string]func(*aftercommit.Changes){
			"empty key":      func(ch *aftercommit.Changes) { ch.Delete(c, "") },
			"empty tag":      func(ch *aftercommit.Changes) { ch.InvalidateTags(c, "") },
			"nanoseconds":    func(ch *aftercommit.Changes) { ch.Options.Hold = 30 },
			"negative times": func(ch *aftercommit.Changes) { ch.Options.Hold = -time.Second },
		} {
			ch := aftercommit.Changes{Options: aftercommit.Options{Unheld: unheld}}
			ch.Delete(c, "k")
			spoil(&ch)
			if err := ch.Commit(t.Context(), noCommit(t)); err == nil || errors.Is(err, aftercommit.ErrCommitted) {
				t.Errorf("%s, unheld %v: %v", what, unheld, err)
			}
		}
	}
}

// Without Redis's holds a transaction is committed if it may be, and its invalidations are queued.
func TestUnheld(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, "c", s)
	s.Freeze()
	defer s.Thaw()
	ch := aftercommit.Changes{Options: aftercommit.Options{Unheld: true}}
	ch.Delete(c, "k")
	committed := false
	err := ch.Commit(t.Context(), func() error { committed = true; return nil })
	if !committed || !errors.Is(err, aftercommit.ErrCommitted) || !errors.Is(err, tiered.ErrQueued) || has(t, c) {
		t.Errorf("committed: %v, %v", committed, err)
	}
	held := aftercommit.Changes{}
	held.Delete(c, "k")
	if err := held.Commit(t.Context(), noCommit(t)); !errors.Is(err, tiered.ErrNotHeld) {
		t.Error(err)
	}
}

// labelled is a cache whose type can't be compared.
type labelled struct {
	*tiered.Cache[string]
	_ []string
}

func TestUncomparableCache(t *testing.T) {
	c := labelled{Cache: newCache(t, "c", nil)}
	var ch aftercommit.Changes
	ch.Delete(c, "other")
	ch.Delete(c, "k")
	if err := ch.Commit(t.Context(), func() error { return nil }); err != nil || has(t, c.Cache) {
		t.Error(err)
	}
}

// If one cache can't hold its keys, nothing is committed, and the other's keys are released.
func TestOneCacheCannotHold(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	good, closed := newCache(t, "good", s), newCache(t, "closed", nil)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	var ch aftercommit.Changes
	ch.Delete(good, "k")
	ch.InvalidateTags(closed, "tag")
	if err := ch.Commit(t.Context(), noCommit(t)); !errors.Is(err, tiered.ErrClosed) || errors.Is(err, aftercommit.ErrUnknown) {
		t.Error(err)
	}
	if s.Do("EXISTS", "tc:good:k") != int64(0) {
		t.Error("the key is still held")
	}
}

// slow is a cache that takes longer to hold keys than it holds them.
type slow struct{ *tiered.Cache[string] }

func (c slow) Hold(ctx context.Context, d time.Duration, keys, tags []string) (*tiered.Hold, error) {
	h, err := c.Cache.Hold(ctx, d, keys, tags)
	time.Sleep(d)
	return h, err
}

// Holds that are over before COMMIT protect nothing.
func TestHoldsAreOver(t *testing.T) {
	t.Parallel()
	c := slow{newCache(t, "c", redistest.Start(t))}
	ch := aftercommit.Changes{Options: aftercommit.Options{Hold: 10 * time.Millisecond}}
	ch.Delete(c, "k")
	if err := ch.Commit(t.Context(), noCommit(t)); err == nil || errors.Is(err, aftercommit.ErrUnknown) {
		t.Error(err)
	}
}

// Each outcome of the commit ends the holds, or leaves them.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, "c", s)
	for name, o := range map[string]struct {
		err  error
		is   error // wrapped by Commit's error
		held bool
	}{
		"committed":   {nil, nil, false},
		"rolled back": {aftercommit.RolledBack(io.EOF), io.EOF, false},
		"unknown":     {io.EOF, aftercommit.ErrUnknown, true},
	} {
		s.Do("FLUSHALL")
		var ch aftercommit.Changes
		ch.Delete(c, "k")
		err := ch.Commit(t.Context(), func() error { return o.err })
		if !errors.Is(err, o.is) || o.err != nil && !errors.Is(err, io.EOF) || o.held != errors.Is(err, aftercommit.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
		if held := s.Do("EXISTS", "tc:c:k") == int64(1); held != o.held {
			t.Errorf("%s: held: %v", name, held)
		}
	}
}
