package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

func TestNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{NotFoundTTL: time.Minute, Jitter: -1}})
		gone := fmt.Errorf("user 7: %w", tiered.ErrNotFound)
		if _, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) { return "", gone }); err != gone {
			t.Errorf("got %v", err)
		}
		if _, err := c.GetOrLoad(t.Context(), "k", noLoad[string](t)); err != tiered.ErrNotFound {
			t.Errorf("remembered: got %v", err)
		}
		if e, err := c.Lookup(t.Context(), "k"); err != tiered.ErrNotFound || e.State != tiered.NotFound || e.Found {
			t.Errorf("lookup: %+v, %v", e, err)
		}
		time.Sleep(time.Minute)
		if v, err := c.GetOrLoad(t.Context(), "k", value("born")); v != "born" || err != nil {
			t.Errorf("a minute later: %q, %v", v, err)
		}
		if s := c.Stats(); s.LoadErrors != 0 {
			t.Errorf("stats %+v", s)
		}

		unremembered := c.With(func(p *tiered.Policy) { p.NotFoundTTL = 0 })
		loads := 0
		for range 2 {
			_, err := unremembered.GetOrLoad(t.Context(), "other", func(context.Context, *tiered.Entry[string]) (string, error) {
				loads++
				return "", tiered.ErrNotFound
			})
			if err != tiered.ErrNotFound {
				t.Errorf("got %v", err)
			}
		}
		if loads != 2 {
			t.Errorf("%d loads without NotFoundTTL", loads)
		}
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{NotFoundTTL: time.Minute}})
		load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			if !e.Found {
				return "first", nil
			}
			return fmt.Sprintf("after %s at %v", e.Value, e.Age), nil
		}
		if v, err := c.Refresh(t.Context(), "k", load); v != "first" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		time.Sleep(time.Second)
		if v, err := c.Refresh(t.Context(), "k", load); v != "after first at 1s" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		down := errors.New("down")
		if _, err := c.Refresh(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) { return "", down }); err != down {
			t.Errorf("got %v", err)
		}
		if v, err := c.Get(t.Context(), "k"); v != "after first at 1s" || err != nil {
			t.Errorf("after a failed refresh: %q, %v", v, err)
		}
		if _, err := c.Refresh(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			e.Policy.NotFoundTTL = 0
			return "", tiered.ErrNotFound
		}); err != tiered.ErrNotFound {
			t.Errorf("got %v", err)
		}
		if e, err := c.Lookup(t.Context(), "k"); err != tiered.ErrNotFound || e.State != 0 {
			t.Errorf("after the source lost it: %+v, %v", e, err)
		}
	})
}

func TestRefreshSupersedesALoadAndIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		old, fresh := newGate(), newGate()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.GetOrLoad(t.Context(), "k", old.load) })
		synctest.Wait()
		for range 3 {
			wg.Go(func() {
				if _, err := c.Refresh(t.Context(), "k", fresh.load); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(fresh.open)
		synctest.Wait()
		_ = c.Set(t.Context(), "mark", "")
		close(old.open)
		wg.Wait()
		if fresh.loads.Load() != 1 {
			t.Errorf("%d loads for three refreshes", fresh.loads.Load())
		}
		if e, err := c.Lookup(t.Context(), "k"); err != nil || e.Value != "load 1" || e.Tier != tiered.Local {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

func TestTagsAreCopies(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	if err := c.Set(t.Context(), "k", "v", "a", "b"); err != nil {
		t.Fatal(err)
	}
	e, _ := c.Lookup(t.Context(), "k")
	e.Tags[0] = "changed"
	_, _ = c.Refresh(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Tags = append(e.Tags[:0], "x")
		return "", errors.New("fails")
	})
	if e, err := c.Lookup(t.Context(), "k"); err != nil || e.Tags[0] != "a" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestAdaptivePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Hour, Jitter: -1}})
		token := func(ttl time.Duration) tiered.Loader[string] {
			return func(_ context.Context, e *tiered.Entry[string]) (string, error) {
				if e.Key == "" || e.Policy.TTL != time.Hour {
					t.Errorf("the loader got %+v", e)
				}
				e.Policy.TTL, e.Tags = ttl, []string{"oauth"}
				return "token", nil
			}
		}
		if _, err := c.GetOrLoad(t.Context(), "k", token(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if e, err := c.Lookup(t.Context(), "k"); err != nil || len(e.Tags) != 1 || e.Tags[0] != "oauth" {
			t.Errorf("%+v, %v", e, err)
		}
		time.Sleep(time.Minute - 1)
		if v, err := c.Get(t.Context(), "k"); v != "token" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
			t.Errorf("a minute later: %v", err)
		}
		for _, ttl := range []time.Duration{0, -time.Second} {
			if v, err := c.GetOrLoad(t.Context(), "not kept", token(ttl)); v != "token" || err != nil {
				t.Errorf("got %q, %v", v, err)
			}
			if _, err := c.Get(t.Context(), "not kept"); err != tiered.ErrNotFound {
				t.Errorf("TTL %v: %v", ttl, err)
			}
		}
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[int]{Policy: tiered.Policy{TTL: 100 * time.Second, Jitter: 0.5}})
		for i := range 1_000 {
			if err := c.Set(t.Context(), fmt.Sprint(i), i); err != nil {
				t.Fatal(err)
			}
		}
		left := func() (n int) {
			for i := range 1_000 {
				if _, err := c.Get(t.Context(), fmt.Sprint(i)); err == nil {
					n++
				}
			}
			return n
		}
		time.Sleep(50*time.Second - 1)
		if n := left(); n != 1_000 {
			t.Errorf("%d left just before the earliest expiry", n)
		}
		time.Sleep(25 * time.Second)
		if n := left(); n < 400 || n > 600 {
			t.Errorf("%d left half-way", n)
		}
		time.Sleep(25*time.Second + 1)
		if n := left(); n != 0 {
			t.Errorf("%d left after the TTL", n)
		}
	})
}
