package tiered_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// A load in the background whose value can't be kept isn't repeated within RetryAfter. Who asks when the value that is there is
// over has it loaded anew.
func TestRetryAfterAnUnfitValue(t *testing.T) {
	panics := func(v string) {
		if v == "new" {
			panic("unfit")
		}
	}
	for name, p := range map[string]tiered.Policy{
		"due":      {TTL: time.Hour, RefreshAfter: time.Minute, RetryAfter: 10 * time.Second, Jitter: -1},
		"outdated": {TTL: time.Minute, StaleWhileRevalidate: time.Hour, RetryAfter: 10 * time.Second, Jitter: -1},
		"behind":   {TTL: time.Minute, StaleWhileRevalidate: time.Hour, RetryAfter: 10 * time.Second, Jitter: -1, StoreBehind: true},
	} {
		for what, o := range map[string]tiered.Options[string]{
			"Cost":  {Cost: func(v string) int64 { panics(v); return 1 }, MaxCost: 1000},
			"Clone": {Clone: func(v string) string { panics(v); return v }},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o.Policy = p
					c := newCache(t, o)
					set(t, c, "k", "old")
					time.Sleep(2 * time.Minute)
					loads := 0
					load := func(context.Context, *tiered.Entry[string]) (string, error) {
						loads++
						return "new", nil
					}
					for range 100 { // 10 s
						if v, err := c.GetOrLoad(t.Context(), "k", load); v != "old" || err != nil {
							t.Fatalf("%q, %v", v, err)
						}
						synctest.Wait()
						time.Sleep(100 * time.Millisecond)
					}
					if loads != 1 {
						t.Errorf("%d loads within RetryAfter", loads)
					}
					synctest.Wait()
					_, _ = c.GetOrLoad(t.Context(), "k", load)
					synctest.Wait()
					if loads != 2 {
						t.Errorf("%d loads after it", loads)
					}
					strict := c.With(func(p *tiered.Policy) { p.StaleWhileRevalidate = 0 })
					if e, err := c.Lookup(t.Context(), "k"); err != nil || e.State != tiered.Fresh {
						_, _ = strict.GetOrLoad(t.Context(), "k", load)
						if loads != 3 {
							t.Errorf("%d loads with that of a caller who may have nothing stale", loads)
						}
					}
				})
			})
		}
	}
}

// A new value keeps the tags of one that can't be cloned for its loader.
func TestTagsOfAValueThatCannotBeCloned(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, how := range []string{"Refresh", "batch"} {
		a := newProcess(t, s, tiered.RedisOptions{}, everything)
		b := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{}), Policy: everything, Clone: func(v string) string {
			if v == "old" {
				panic("no clone")
			}
			return v
		}})
		set(t, a, "k", "old", "tag")
		check := func(e *tiered.Entry[string]) {
			if e.Found || e.Value != "" || !slices.Equal(e.Tags, []string{"tag"}) {
				t.Errorf("%s: the loader got %+v", how, *e)
			}
		}
		var err error
		if how == "batch" {
			if err = a.Expire(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			_, err = tiered.GetOrLoadEntries(t.Context(), b, []string{"k"}, self, func(_ context.Context, _ []string, es []*tiered.Entry[string]) (map[string]string, error) {
				check(es[0])
				return map[string]string{"k": "new"}, nil
			})
		} else {
			_, err = b.Refresh(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
				check(e)
				return "new", nil
			})
		}
		if err != nil {
			t.Error(how, err)
		}
		if err := a.InvalidateTags(t.Context(), "tag"); err != nil {
			t.Fatal(err)
		}
		if v, err := a.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("%s: after InvalidateTags: %q, %v", how, v, err)
		}
	}
}
