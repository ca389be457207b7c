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

// Other processes follow, and serve what is stale if a load fails.
func TestExpireTagsInAnotherProcess(t *testing.T) {
	t.Parallel()
	for name, expire := range expiries {
		for mode, how := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				o := lively(how)
				o.Timeout = 2 * time.Second
				a, b := newProcess(t, s, o, lasting), newProcess(t, s, o, lasting)
				for _, key := range []string{"k", "l"} {
					set(t, a, key, "old", "tag")
					keep(t, b, key, "old")
				}
				if err := expire(t.Context(), a); err != nil {
					t.Fatal(err)
				}
				follows(t, b, "k", "")
				stale(t, b, "l", "old")
				third := newProcess(t, s, o, lasting)
				stale(t, third, "k", "old")
				loads := 0
				gets(t, b, "l", failing(&loads), "old")
				gets(t, b, "k", tagged("new", "tag"), "new")
				gets(t, third, "k", noLoad[string](t), "new")
				follows(t, a, "k", "new")
			})
		}
	}
}

// On a Cluster the tags and the values may be on different servers.
func TestExpireTagsInACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	process := func() *tiered.Cache[string] {
		o := lively(tiered.Tracking)
		o.Timeout = 2 * time.Second
		r, err := tiered.NewRedis(cluster.Client(t), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return newCache(t, tiered.Options[string]{Redis: r, Policy: lasting})
	}
	a, b := process(), process()
	keys := manyTags("k", 20)
	tags := manyTags("t", 20)
	for i, key := range keys {
		set(t, a, key, "old", tags[i])
	}
	if err := a.ExpireTags(t.Context(), tags[:10]...); err != nil {
		t.Fatal(err)
	}
	for i, key := range keys {
		if i < 10 {
			follows(t, b, key, "")
			stale(t, a, key, "old")
			stale(t, b, key, "old")
		} else {
			gets(t, a, key, noLoad[string](t), "old")
		}
	}
	if err := a.ExpireAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		follows(t, b, key, "")
		stale(t, a, key, "old")
		stale(t, b, key, "old")
	}
}

// An expiry that Redis didn't take is replayed as one, and an invalidation of the same stays what it is.
func TestQueuedExpiries(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Start(t)
	a, b := newFaultyProcess(t, s, lively(tiered.Tracking)), newProcess(t, s, lively(tiered.Tracking), lasting)
	for name, c := range map[string]struct {
		changes []func() error
		queued  int
		stale   bool
	}{
		"ExpireTags":                       {[]func() error{func() error { return a.ExpireTags(ctx, "tag", "x") }}, 2, true},
		"ExpireTags of an invalid one":     {[]func() error{func() error { return a.InvalidateTags(ctx, "tag") }, func() error { return a.ExpireTags(ctx, "tag") }}, 1, false},
		"InvalidateTags of an expired one": {[]func() error{func() error { return a.ExpireTags(ctx, "tag") }, func() error { return a.InvalidateTags(ctx, "tag") }}, 1, false},
		"ExpireAll":                        {[]func() error{func() error { return a.ExpireAll(ctx) }}, 1, true},
		"ExpireAll and ExpireTags":         {[]func() error{func() error { return a.ExpireAll(ctx) }, func() error { return a.ExpireTags(ctx, "tag") }}, 2, true},
		"InvalidateTags and ExpireAll":     {[]func() error{func() error { return a.InvalidateTags(ctx, "tag") }, func() error { return a.ExpireAll(ctx) }}, 2, false},
		"ExpireAll of what was cleared":    {[]func() error{func() error { return a.Clear(ctx) }, func() error { return a.ExpireAll(ctx) }}, 1, false},
		"Clear of what was expired":        {[]func() error{func() error { return a.ExpireAll(ctx) }, func() error { return a.Clear(ctx) }}, 1, false},
		"ExpireTags of what was cleared":   {[]func() error{func() error { return a.Clear(ctx) }, func() error { return a.ExpireTags(ctx, "tag") }}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			waitFor(t, func() bool { return a.Set(ctx, "k", "old", "tag") == nil }) // a canary of before may have failed only now
			keep(t, b, "k", "old")
			a.blocker.on.Store(true)
			a.cutOff()
			for _, change := range c.changes {
				queued(t, change())
			}
			if n := a.Stats().Queued; n != c.queued {
				t.Errorf("%d are queued, want %d", n, c.queued)
			}
			a.reconnect(t)
			if v, err := a.Get(ctx, "k"); err != tiered.ErrNotFound {
				t.Errorf("while it is queued: %q, %v", v, err)
			}
			a.blocker.on.Store(false)
			a.replays(t)
			follows(t, b, "k", "")
			if e, err := b.Lookup(ctx, "k"); c.stale && (e.Value != "old" || e.State != tiered.Stale) || !c.stale && err != tiered.ErrNotFound {
				t.Errorf("after it was replayed: %+v, %v; want it stale: %v", e, err, c.stale)
			}
		})
	}
}

// ExpireAll is one command however many keys there are, and leaves other caches and foreign values alone.
func TestExpireAllIsOneCommand(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	var made commandLog
	client.AddHook(&made)
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: tiered.None})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := newCache(t, tiered.Options[string]{Redis: r, Policy: lasting})
	other := newCache(t, tiered.Options[string]{Name: "test2", Redis: r})
	if err := errors.Join(c.SetMany(t.Context(), thousand("k"), "tag"), other.Set(t.Context(), "k", "v", "tag")); err != nil {
		t.Fatal(err)
	}
	s.Do("SET", "tc:test:foreign", `"theirs"`)
	made.take()
	if err := c.ExpireAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := made.take(); !slices.Equal(got, []string{"eval 1"}) {
		t.Errorf("ExpireAll made %q", got)
	}
	if got, err := c.GetMany(t.Context(), append(slices.Collect(maps.Keys(thousand("k"))), "foreign")...); len(got) != 1 || got["foreign"] != "theirs" {
		t.Errorf("%d are fresh, %v", len(got), err)
	}
	if v, err := other.Get(t.Context(), "k"); v != "v" || err != nil {
		t.Errorf("another cache: %q, %v", v, err)
	}
}
