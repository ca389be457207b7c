package tiered_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// heardOf returns when the process has heard of all that was changed in Redis so far.
func heardOf(t testing.TB, s *redistest.Server, c *tiered.Cache[string]) {
	t.Helper()
	s.Do("SET", "tc:test:marker", `"1"`)
	waitFor(t, func() bool { // into the local tier
		e, err := c.Lookup(t.Context(), "marker")
		return err == nil && e.Value == "1" && e.Tier == tiered.Local
	})
	s.Do("SET", "tc:test:marker", `"2"`)
	waitFor(t, func() bool { v, _ := c.Get(t.Context(), "marker"); return v == "2" })
	s.Do("DEL", "tc:test:marker")
}

// What changes a key, or makes its values invalid, during a load keeps the loaded value out of both tiers.
func TestChangeDuringALoad(t *testing.T) {
	t.Parallel()
	type env struct {
		s    *redistest.Server
		a, b *tiered.Cache[string]
	}
	ctx := t.Context()
	for name, change := range map[string]func(env) error{
		"Delete":               func(e env) error { return e.a.Delete(ctx, "k") },
		"Set":                  func(e env) error { return e.a.Set(ctx, "k", "new") },
		"Expire":               func(e env) error { return e.a.Expire(ctx, "k") },
		"InvalidateTags":       func(e env) error { return e.a.InvalidateTags(ctx, "other", "tag") },
		"Clear":                func(e env) error { return e.a.Clear(ctx) },
		"their Delete":         func(e env) error { return e.b.Delete(ctx, "k") },
		"their Set":            func(e env) error { return e.b.Set(ctx, "k", "new") },
		"their Expire":         func(e env) error { return e.b.Expire(ctx, "k") },
		"their InvalidateTags": func(e env) error { return e.b.InvalidateTags(ctx, "tag") },
		"their Clear":          func(e env) error { return e.b.Clear(ctx) },
		"DEL":                  func(e env) error { e.s.Do("DEL", "tc:test:k"); return nil },
		"SET":                  func(e env) error { e.s.Do("SET", "tc:test:k", `"new"`); return nil },
		"FLUSHALL":             func(e env) error { e.s.Do("FLUSHALL"); return nil },
	} {
		for mode, how := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				s, a, b := twoProcesses(t, how)
				loading, loaded := make(chan struct{}), make(chan struct{})
				cl := begin(t, a, "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
					close(loading)
					<-loaded
					e.Tags = []string{"tag"}
					return "old", nil
				})
				<-loading
				if err := change(env{s, a, b}); err != nil {
					t.Fatal(err)
				}
				close(loaded)
				cl.gets(t, "old")
				if v := stored(s, "k"); v != "" && v != "new" && v != `"new"` {
					t.Errorf("Redis has %q", v)
				}
				for _, c := range []*tiered.Cache[string]{a, b} {
					if v, err := c.Get(ctx, "k"); err == nil && v != "new" || err != nil && err != tiered.ErrNotFound {
						t.Errorf("served %q, %v", v, err)
					}
					if v, err := c.GetOrLoad(ctx, "k", value("new")); v != "new" || err != nil {
						t.Errorf("loaded %q, %v", v, err)
					}
				}
			})
		}
	}
}

// Each load has a token of its own: one that was superseded doesn't take the lease of the next for its own.
func TestOldLoadLeavesTheNextOnesLease(t *testing.T) {
	t.Parallel()
	for name, supersede := range map[string]func(t *testing.T, s *redistest.Server, c *tiered.Cache[string]){
		"Delete": func(t *testing.T, _ *redistest.Server, c *tiered.Cache[string]) {
			if err := c.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
		},
		"DEL": func(t *testing.T, s *redistest.Server, c *tiered.Cache[string]) {
			s.Do("DEL", "tc:test:k")
			heardOf(t, s, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, a, _ := twoProcesses(t, tiered.Tracking)
			older, newer := newGate(), newGate()
			first := older.begin(t, a, "k")
			supersede(t, s, a)
			second := newer.begin(t, a, "k")
			lease := s.Do("GET", "tc:test:k")
			close(older.open)
			first.gets(t, "load 1")
			if now := s.Do("GET", "tc:test:k"); now != lease || !leased(s, "k") {
				t.Errorf("the second load's lease became %q", now)
			}
			if v, err := a.Get(t.Context(), "k"); err != tiered.ErrNotFound {
				t.Errorf("served %q, %v", v, err)
			}
			close(newer.open)
			second.gets(t, "load 1")
			if v := stored(s, "k"); v != "load 1" {
				t.Errorf("Redis has %q", v)
			}
		})
	}
}

// Who asks after a Clear, or after a change that has been heard of, doesn't join an older load.
func TestNobodyJoinsAnOutdatedLoad(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, s *redistest.Server, a, b *tiered.Cache[string]) error{
		"Clear": func(t *testing.T, _ *redistest.Server, a, _ *tiered.Cache[string]) error { return a.Clear(t.Context()) },
		"their Delete": func(t *testing.T, _ *redistest.Server, _, b *tiered.Cache[string]) error {
			return b.Delete(t.Context(), "k")
		},
		"FLUSHALL": func(_ *testing.T, s *redistest.Server, _, _ *tiered.Cache[string]) error {
			s.Do("FLUSHALL")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, a, b := twoProcesses(t, tiered.Tracking)
			g := newGate()
			first := g.begin(t, a, "k")
			if err := change(t, s, a, b); err != nil {
				t.Fatal(err)
			}
			heardOf(t, s, a)
			second := begin(t, a, "k", value("new"))
			if name == "Clear" { // which leaves the lease; the first load gives it back
				close(g.open)
			}
			second.gets(t, "new")
			if name != "Clear" {
				close(g.open)
			}
			first.gets(t, "load 1")
			if v, err := b.Get(t.Context(), "k"); v != "new" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		})
	}
}

// A refresh replaces what it saw, and nothing newer.
func TestRefreshLosesToASet(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			s, a, b := twoProcesses(t, mode)
			if err := a.Set(t.Context(), "k", "seen"); err != nil {
				t.Fatal(err)
			}
			g := newGate()
			refresh := begun(func() (string, error) { return a.Refresh(t.Context(), "k", g.load) })
			waitFor(t, func() bool { return g.loads.Load() == 1 })
			if v := stored(s, "k"); v != "seen" {
				t.Errorf("during the refresh Redis has %q", v)
			}
			if err := b.Set(t.Context(), "k", "set"); err != nil {
				t.Fatal(err)
			}
			close(g.open)
			refresh.gets(t, "load 1")
			if v := stored(s, "k"); v != "set" {
				t.Errorf("Redis has %q", v)
			}
			if mode != tiered.None {
				waitFor(t, func() bool { v, _ := a.Get(t.Context(), "k"); return v == "set" })
			}
		})
	}
}

func TestRefreshReplacesWhatItSaw(t *testing.T) {
	t.Parallel()
	s, a, b := twoProcesses(t, tiered.Tracking)
	if err := errors.Join(a.Set(t.Context(), "k", "seen"), second(b.Get(t.Context(), "k"))); err != nil {
		t.Fatal(err)
	}
	v, err := a.Refresh(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		return e.Value + " and replaced", nil
	})
	if v != "seen and replaced" || err != nil || stored(s, "k") != v {
		t.Errorf("%q, %v; Redis has %q", v, err, stored(s, "k"))
	}
	waitFor(t, func() bool { got, _ := b.Get(t.Context(), "k"); return got == v })
}

// Where nothing is there to be refreshed the refresh leases the key, as a load does.
func TestRefreshOfNothingLeases(t *testing.T) {
	t.Parallel()
	s, a, b := twoProcesses(t, tiered.Tracking)
	g := newGate()
	refresh := begun(func() (string, error) { return a.Refresh(t.Context(), "k", g.load) })
	waitFor(t, func() bool { return g.loads.Load() == 1 })
	if !leased(s, "k") {
		t.Error("no lease")
	}
	waiting := begin(t, b, "k", noLoad[string](t))
	close(g.open)
	refresh.gets(t, "load 1")
	waiting.gets(t, "load 1")
}

// A refresh takes the lease of an older load away, whose value may be older than what the refresh is to see.
func TestRefreshTakesALease(t *testing.T) {
	t.Parallel()
	s, a, b := twoProcesses(t, tiered.Tracking)
	g := newGate()
	load := g.begin(t, b, "k")
	if v, err := a.Refresh(t.Context(), "k", value("refreshed")); v != "refreshed" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	close(g.open)
	load.gets(t, "load 1")
	if v := stored(s, "k"); v != "refreshed" {
		t.Errorf("Redis has %q", v)
	}
	waitFor(t, func() bool { v, _ := b.Get(t.Context(), "k"); return v == "refreshed" })
}

// What isn't a lease of this version is no reason to wait.
func TestDamagedLeases(t *testing.T) {
	t.Parallel()
	for name, bytes := range map[string]string{
		"cut":             "\xc1tl\x01short",
		"magic":           "\xc1tl",
		"another version": "\xc1tl\x020123456789abcdef\xe8\x07\x00",
		"more behind":     "\xc1tl\x010123456789abcdef\xe8\x07\x00x",
		"no times":        "\xc1tl\x010123456789abcdef",
	} {
		t.Run(name, func(t *testing.T) {
			s, a, _ := twoProcesses(t, tiered.Tracking)
			s.Do("SET", "tc:test:k", bytes)
			start := time.Now()
			if v, err := a.GetOrLoad(t.Context(), "k", value("v")); v != "v" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("it took %v", d)
			}
			if v := stored(s, "k"); v != "v" {
				t.Errorf("Redis has %q", v)
			}
		})
	}
}
