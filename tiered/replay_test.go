package tiered_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// A replay leaves what somebody set later. What was loaded before the change goes, however late it was stored, and so
// does a lease.
func TestReplayLeavesWhatIsNewer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	a, b := newFaultyProcess(t, s, lively(tiered.Tracking)), newProcess(t, s, lively(tiered.Tracking), longLived)
	seed := map[string]string{"set": "old", "refreshed": "old", "loaded later": "old", "deleted": "old"}
	if err := errors.Join(b.SetMany(ctx, seed), a.Set(ctx, "warm", "v")); err != nil {
		t.Fatal(err)
	}
	g := newGate()
	load := begin(t, b, "vacant", g.load)
	refresh := begun(func() (string, error) { return b.Refresh(ctx, "refreshed", g.load) })
	lasting := newGate()
	lease := begin(t, b, "leased", lasting.load)
	waitFor(t, func() bool { return g.loads.Load() == 2 && leased(s, "leased") })
	a.blocker.on.Store(true)
	a.cutOff()
	queued(t, a.Delete(ctx, "set", "refreshed", "loaded later", "vacant", "leased"))
	queued(t, a.Set(ctx, "deleted", "queued"))
	time.Sleep(lively(tiered.Tracking).Timeout + 200*time.Millisecond) // as far as clocks may differ
	close(g.open)
	if _, err := load.wait(t); err != nil {
		t.Fatal(err)
	}
	if _, err := refresh.wait(t); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Set(ctx, "set", "newer"), b.Delete(ctx, "deleted"), second(b.Refresh(ctx, "loaded later", value("newer")))); err != nil {
		t.Fatal(err)
	}
	a.reconnect(t)
	a.blocker.on.Store(false)
	a.replays(t)
	for key, want := range map[string]string{"set": "newer", "loaded later": "newer", "vacant": "", "refreshed": "", "leased": "", "deleted": ""} {
		if got := stored(s, key); got != want {
			t.Errorf("%s: Redis has %q, want %q", key, got, want)
		}
		follows(t, a.Cache, key, want)
		follows(t, b, key, want)
	}
	close(lasting.open)
	if _, err := lease.wait(t); err != nil {
		t.Error(err)
	}
	if got := stored(s, "leased"); got != "" {
		t.Errorf("the lease was void, and Redis has %q", got)
	}
}

// A queued Expire leaves the value for the next loader; a queued Delete is more than an Expire.
func TestQueuedExpire(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	a := newFaultyProcess(t, s, lively(tiered.Tracking))
	if err := a.SetMany(ctx, map[string]string{"k": "old", "both": "old", "both again": "old"}); err != nil {
		t.Fatal(err)
	}
	a.cutOff()
	queued(t, a.Expire(ctx, "k", "both"))
	queued(t, a.Delete(ctx, "both", "both again"))
	queued(t, a.Expire(ctx, "both again"))
	a.reconnect(t)
	a.replays(t)
	if stored(s, "k") != "old" || stored(s, "both") != "" || stored(s, "both again") != "" {
		t.Errorf("Redis has %q, %q and %q", stored(s, "k"), stored(s, "both"), stored(s, "both again"))
	}
	if _, err := a.Get(ctx, "k"); err != tiered.ErrNotFound {
		t.Errorf("what was expired: %v", err)
	}
	if _, err := a.Refresh(ctx, "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		if !e.Found || e.Value != "old" {
			t.Errorf("the loader got %+v", e)
		}
		return "new", nil
	}); err != nil {
		t.Error(err)
	}
}

// What other programs wrote is deleted, of whatever type.
func TestReplayOverForeignValues(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	a := newFaultyProcess(t, s, lively(tiered.Tracking))
	s.Do("SET", "tc:test:plain", `"v"`)
	s.Do("SET", "tc:test:empty", "")
	s.Do("SET", "tc:test:garbage", "\xc1tcgarbage")
	s.Do("SET", "tc:test:expired", "\xc1tc\x01garbage")
	s.Do("SADD", "tc:test:list", "v")
	a.cutOff()
	queued(t, a.Delete(ctx, "plain", "empty", "garbage", "list", "nothing"))
	queued(t, a.Expire(ctx, "expired"))
	a.reconnect(t)
	a.replays(t)
	for _, key := range []string{"plain", "empty", "garbage", "list", "expired"} {
		if n := s.Do("EXISTS", "tc:test:"+key); n != int64(0) {
			t.Errorf("%s is still there", key)
		}
	}
}

// A read that found a value before the invalidation of its tag was queued, and learns of the tag only then, doesn't keep it.
func TestReadDuringAQueuedInvalidation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	a := newFaultyProcess(t, s, lively(tiered.Tracking))
	slow := slowCodec{codec.JSON, make(chan struct{}), make(chan struct{}), new(sync.Once)}
	b := newCache(t, tiered.Options[string]{Redis: a.redis, Codec: slow, Name: "slow", Policy: longLived, Logger: lively(0).Logger})
	other := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, lively(tiered.Tracking)), Name: "slow", Policy: longLived})
	if err := other.Set(ctx, "k", "old", "tag"); err != nil {
		t.Fatal(err)
	}
	read := begin(t, b, "k", value("loaded"))
	<-slow.begun
	a.blocker.on.Store(true)
	queued(t, b.InvalidateTags(ctx, "tag"))
	close(slow.open)
	if v, err := read.wait(t); err != nil {
		t.Errorf("%q, %v", v, err)
	}
	for range 10 {
		if v, err := b.Get(ctx, "k"); v == "old" {
			t.Fatalf("%q, %v", v, err)
		}
	}
}

// A load that was under way when the invalidation of its value's tag was queued brings nothing that is kept.
func TestLoadDuringAQueuedInvalidation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, invalidate := range map[string]func(c *tiered.Cache[string]) error{
		"InvalidateTags": func(c *tiered.Cache[string]) error { return c.InvalidateTags(ctx, "tag") },
		"Clear":          func(c *tiered.Cache[string]) error { return c.Clear(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			a := newFaultyProcess(t, s, lively(tiered.PubSub)) // whose own changes aren't told
			g := newGate()
			load := begin(t, a.Cache, "k", func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
				e.Tags = []string{"tag"}
				return g.load(ctx, e)
			})
			waitFor(t, func() bool { return g.loads.Load() == 1 })
			a.blocker.on.Store(true)
			queued(t, invalidate(a.Cache))
			close(g.open)
			load.gets(t, "load 1")
			if v, err := a.Get(ctx, "k"); err != tiered.ErrNotFound {
				t.Errorf("before the replay: %q, %v", v, err)
			}
			a.blocker.on.Store(false)
			a.replays(t)
			if v, err := a.Get(ctx, "k"); err != tiered.ErrNotFound {
				t.Errorf("after it: %q, %v", v, err)
			}
		})
	}
}

// A Set that was given up and is still on its way isn't replayed before it has arrived: its value is deleted then.
func TestReplayFollowsALateSet(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r, l := newLaggingRedis(t, s, "oldvalue", 500*time.Millisecond)
	c := newCache(t, tiered.Options[string]{Redis: r})
	queued(t, c.Set(t.Context(), "k", "oldvalue"))
	waitFor(t, func() bool { return calls(s, "pttl") > 3 }) // replays begin
	if n := c.Stats().Queued; n != 1 {
		t.Errorf("%d queued, with the Set on its way", n)
	}
	close(l.release)
	waitFor(t, func() bool { return c.Stats().Queued == 0 })
	if got := stored(s, "k"); got != "" {
		t.Errorf("Redis has %q", got)
	}
}

// What a server that was demoted doesn't have may well be in its master: with a replay there the change isn't replayed.
func TestReplayOnADemotedServer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, change := range map[string]func(c *tiered.Cache[string]) error{
		"Set":    func(c *tiered.Cache[string]) error { return c.Set(ctx, "k", "queued") },
		"Delete": func(c *tiered.Cache[string]) error { return c.Delete(ctx, "k") },
		"Expire": func(c *tiered.Cache[string]) error { return c.Expire(ctx, "k") },
	} {
		t.Run(name, func(t *testing.T) {
			master, demoted := redistest.Start(t), redistest.Start(t)
			b := newProcess(t, master, lively(tiered.Tracking), longLived)
			if err := b.Set(ctx, "k", "old"); err != nil {
				t.Fatal(err)
			}
			a := newFaultyProcess(t, demoted, lively(tiered.Tracking))
			demoted.Do("REPLICAOF", "127.0.0.1", 1)
			queued(t, change(a.Cache))
			before := calls(demoted, "pttl")
			waitFor(t, func() bool { return calls(demoted, "pttl") > before+3 || a.Stats().Queued == 0 }) // replays
			a.proxy.SetUpstream(master.Addr())
			a.proxy.Cut()
			a.replays(t)
			if got := stored(master, "k"); got == "old" && name != "Expire" {
				t.Errorf("Redis has %q", got)
			}
			follows(t, b, "k", "")
			follows(t, a.Cache, "k", "")
		})
	}
}
