package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// writes are the ways to change the key "k", and what the one who does has of it then.
var writes = map[string]struct {
	change func(ctx context.Context, c *tiered.Cache[string]) error
	want   string
}{
	"Set": {func(ctx context.Context, c *tiered.Cache[string]) error { return c.Set(ctx, "k", "new", "tag") }, "new"},
	"SetMany": {func(ctx context.Context, c *tiered.Cache[string]) error {
		return c.SetMany(ctx, map[string]string{"k": "new", "l": "new"})
	}, "new"},
	"Delete":         {func(ctx context.Context, c *tiered.Cache[string]) error { return c.Delete(ctx, "l", "k") }, ""},
	"Expire":         {func(ctx context.Context, c *tiered.Cache[string]) error { return c.Expire(ctx, "k") }, ""},
	"InvalidateTags": {func(ctx context.Context, c *tiered.Cache[string]) error { return c.InvalidateTags(ctx, "x", "tag") }, ""},
	"Clear":          {func(ctx context.Context, c *tiered.Cache[string]) error { return c.Clear(ctx) }, ""},
}

// What couldn't be written is replayed when Redis is back. Until then this process doesn't rely on what Redis has.
func TestWritesAreQueued(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for mode, how := range listeningModes {
		for name, w := range writes {
			t.Run(mode+"/"+name, func(t *testing.T) {
				s := redistest.Start(t)
				a, b := newFaultyProcess(t, s, lively(how)), newProcess(t, s, lively(how), longLived)
				if err := errors.Join(b.Set(ctx, "k", "old", "tag"), b.Set(ctx, "other", "there")); err != nil {
					t.Fatal(err)
				}
				keep(t, b, "k", "old")
				keep(t, a.Cache, "k", "old")
				a.cutOff()
				waitFor(t, func() bool { // what is written as the connection breaks isn't kept
					queued(t, w.change(ctx, a.Cache))
					v, _ := a.Get(ctx, "k")
					return v == w.want
				})
				mine := func(when string) {
					t.Helper()
					if v, err := a.Get(ctx, "k"); v != w.want || (err != nil) != (w.want == "") {
						t.Fatalf("%s, its writer: %q, %v; want %q", when, v, err, w.want)
					}
				}
				mine("cut off")
				if n := a.Stats().Queued; n == 0 || a.traced.Load() == 0 {
					t.Errorf("%d queued, %d traced", n, a.traced.Load())
				}
				if v, err := b.Get(ctx, "k"); v != "old" || err != nil {
					t.Errorf("elsewhere: %q, %v", v, err)
				}
				a.blocker.on.Store(true)
				a.reconnect(t)
				waitFor(t, func() bool { mine("connected"); return a.blocker.refused.Load() > 2 })
				if v, err := a.GetOrLoad(ctx, "k", value("loaded")); v != cmpOr(w.want, "loaded") || err != nil {
					t.Errorf("a load: %q, %v", v, err)
				}
				if got := stored(s, "k"); got != "old" {
					t.Errorf("not replayed, and Redis has %q", got)
				}
				a.blocker.on.Store(false)
				a.replays(t)
				follows(t, b, "k", "")
				waitFor(t, func() bool {
					v, err := a.GetOrLoad(ctx, "k", value("loaded"))
					if err != nil || v == "old" {
						t.Fatalf("replayed: %q, %v", v, err)
					}
					return stored(s, "k") == "loaded" // what was loaded meanwhile isn't, and is soon not served any more
				})
				follows(t, b, "k", "loaded")
				if n := a.Stats().Replayed; n == 0 {
					t.Error("Replayed is 0")
				}
				if v, err := b.Get(ctx, "other"); name != "Clear" && (v != "there" || err != nil) {
					t.Errorf("another key: %q, %v", v, err)
				}
			})
		}
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// However Redis fails, the write is queued and its cause reachable.
func TestWaysToFail(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, fault := range map[string]struct {
		breaks, heals func(s *redistest.Server)
		cause         func(err error) bool
	}{
		"frozen": {(*redistest.Server).Freeze, (*redistest.Server).Thaw,
			func(err error) bool { // that of the write or, on a busy machine, of a canary before it
				timeout, is := errors.AsType[net.Error](err)
				return is && timeout.Timeout()
			}},
		"READONLY": {func(s *redistest.Server) { s.Do("REPLICAOF", "127.0.0.1", 1) }, func(s *redistest.Server) { s.Do("REPLICAOF", "NO", "ONE") },
			func(err error) bool {
				return redis.HasErrorPrefix(errors.Unwrap(err), "READONLY") || isReply(err, "READONLY")
			}},
		"OOM": {func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", 1) }, func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", 0) },
			func(err error) bool { return isReply(err, "OOM") }},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			o := lively(tiered.Tracking)
			if name != "frozen" {
				o.Timeout = 5 * time.Second // which would be another cause
			}
			a, b := newFaultyProcess(t, s, o), newProcess(t, s, o, longLived)
			if err := errors.Join(b.Set(ctx, "k", "old"), a.Set(ctx, "l", "there")); err != nil {
				t.Fatal(err)
			}
			fault.breaks(s)
			err := a.Set(ctx, "k", "new")
			queued(t, err)
			if !fault.cause(err) {
				t.Errorf("the cause of %v", err)
			}
			if v, err := a.Get(ctx, "k"); v != "new" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			fault.heals(s)
			a.replays(t)
			follows(t, b, "k", "")
			if got := stored(s, "k"); got != "" {
				t.Errorf("Redis has %q", got)
			}
		})
	}
}

func isReply(err error, code string) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), code)
}

// A write whose caller leaves may have happened or not.
func TestCallerLeavesAWrite(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := newFaultyProcess(t, s, lively(tiered.Tracking))
	if err := a.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if err := a.Set(ctx, "k", "new"); err != nil { // it may have been quick
		queued(t, err)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	a.replays(t)
	if v, err := a.Get(t.Context(), "k"); v == "old" {
		t.Errorf("%q, %v", v, err)
	}
}

// A write that Redis takes overrides what is queued.
func TestLaterWriteTakesItOff(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	a := newFaultyProcess(t, s, lively(tiered.Tracking))
	if err := a.Set(ctx, "warm", "v"); err != nil {
		t.Fatal(err)
	}
	a.blocker.on.Store(true)
	a.cutOff()
	queued(t, a.Delete(ctx, "set", "deleted", "expired"))
	queued(t, a.Expire(ctx, "expired too"))
	a.reconnect(t)
	if err := errors.Join(a.Set(ctx, "set", "new"), a.Delete(ctx, "deleted"), a.Expire(ctx, "expired", "expired too")); err != nil {
		t.Fatal(err)
	}
	if n := a.Stats().Queued; n != 1 {
		t.Errorf("%d are queued, want the one that was only expired since", n)
	}
	a.blocker.on.Store(false)
	a.replays(t)
	if got := stored(s, "set"); got != "new" || a.Stats().Replayed != 1 {
		t.Errorf("Redis has %q, %d replayed", got, a.Stats().Replayed)
	}
	a.blocker.on.Store(true)
	a.cutOff()
	queued(t, a.InvalidateTags(ctx, "x", "y"))
	queued(t, a.Clear(ctx))
	if n := a.Stats().Queued; n != 1 {
		t.Errorf("%d are queued, want the Clear for all", n)
	}
	a.blocker.on.Store(false)
	a.reconnect(t)
	waitFor(t, func() bool { return a.Clear(ctx) == nil }) // the client may still have connections that were cut
	if n := a.Stats().Queued; n != 0 {
		t.Errorf("%d are queued", n)
	}
}

// Past its bound the queue becomes one Clear.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	o := lively(tiered.Tracking)
	o.Timeout = 2 * time.Second
	a, b := newFaultyProcess(t, s, o), newProcess(t, s, o, longLived)
	for _, c := range []*tiered.Cache[string]{a.Cache, b} {
		if err := c.Set(ctx, "untouched", "old"); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, b, "untouched", "old")
	names := func(from, to int) (names []string) {
		for i := from; i < to; i++ {
			names = append(names, fmt.Sprint(i))
		}
		return names
	}
	for name, fill := range map[string]func(){
		"keys": func() {
			queued(t, a.Delete(ctx, names(0, 10_000)...))
			if n := a.Stats().Queued; n != 10_000 {
				t.Errorf("%d queued", n)
			}
			queued(t, a.Delete(ctx, "one more"))
		},
		"tags": func() {
			queued(t, a.InvalidateTags(ctx, names(0, 1_000)...))
			if n := a.Stats().Queued; n != 1_000 {
				t.Errorf("%d queued", n)
			}
			queued(t, a.InvalidateTags(ctx, "one more"))
		},
	} {
		epoch := s.Do("GET", "tc:test!era{test}")
		a.cutOff()
		fill()
		if n := a.Stats().Queued; n != 1 {
			t.Errorf("%s: %d queued, want one Clear", name, n)
		}
		a.reconnect(t)
		a.replays(t)
		follows(t, b, "untouched", "")
		if s.Do("GET", "tc:test!era{test}") == epoch {
			t.Errorf("%s: there was no Clear", name)
		}
		if err := b.Set(ctx, "untouched", "old"); err != nil {
			t.Fatal(err)
		}
	}
}

// Close makes one last attempt, and says what is lost.
func TestCloseReplays(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, back := range map[string]bool{"Redis is back": true, "Redis is down": false} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			a := newFaultyProcess(t, s, lively(tiered.Tracking))
			if err := a.SetMany(ctx, map[string]string{"k": "old", "l": "old"}); err != nil {
				t.Fatal(err)
			}
			a.blocker.on.Store(true)
			a.cutOff()
			queued(t, a.Delete(ctx, "k", "l"))
			if back {
				a.reconnect(t)
				a.blocker.on.Store(false)
			}
			start := time.Now()
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("Close took %v", took)
			}
			said := strings.Contains(a.log.String(), "changes=2") && strings.Contains(a.log.String(), "level=WARN")
			if got := stored(s, "k") + stored(s, "l"); back && (got != "" || said) || !back && (got != "oldold" || !said) {
				t.Errorf("Redis has %q; the log: %s", got, a.log)
			}
			if err := a.Delete(ctx, "k"); err != tiered.ErrClosed {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A Redis that is closed replays nothing. Nor does its Close wait for that.
func TestRedisIsClosedWithABacklog(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := newFaultyProcess(t, s, lively(tiered.Tracking))
	a.cutOff()
	queued(t, a.Delete(t.Context(), "k"))
	if err := a.redis.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Delete(t.Context(), "l"); !errors.Is(err, tiered.ErrClosed) || errors.Is(err, tiered.ErrQueued) {
		t.Errorf("afterwards: %v", err)
	}
	if v, err := a.GetOrLoad(t.Context(), "k", value("v")); v != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if err := a.Close(); err != nil || !strings.Contains(a.log.String(), "changes=1") {
		t.Errorf("%v; the log: %s", err, a.log)
	}
}
