package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// failSafe serves values for an hour after their minute, if there is no newer one.
var failSafe = tiered.Policy{TTL: time.Minute, StaleIfError: time.Hour, Jitter: -1}

var errDown = errors.New("the source is down")

// failing is a loader that fails, and counts how often. Its loads must not be in the background.
func failing(loads *int) tiered.Loader[string] {
	return func(context.Context, *tiered.Entry[string]) (string, error) {
		*loads++
		return "", errDown
	}
}

func set(t testing.TB, c *tiered.Cache[string], key, v string, tags ...string) {
	t.Helper()
	if err := c.Set(t.Context(), key, v, tags...); err != nil {
		t.Fatal(err)
	}
}

func gets(t testing.TB, c *tiered.Cache[string], key string, load tiered.Loader[string], want string) {
	t.Helper()
	if v, err := c.GetOrLoad(t.Context(), key, load); v != want || err != nil {
		t.Errorf("got %q, %v; want %q", v, err, want)
	}
}

func TestStaleWhileRevalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Hour, Jitter: -1}})
		set(t, c, "k", "old")
		time.Sleep(time.Minute)
		if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
			t.Errorf("Get got %q, %v", v, err)
		}
		if e, err := c.Lookup(t.Context(), "k"); e.State != tiered.Stale || e.Value != "old" || err != nil {
			t.Errorf("Lookup got %+v, %v", e, err)
		}
		g := newGate()
		for range 10 {
			gets(t, c, "k", g.load, "old") // at once
		}
		synctest.Wait()
		if n := g.loads.Load(); n != 1 {
			t.Errorf("%d loads behind", n)
		}
		close(g.open)
		synctest.Wait()
		gets(t, c, "k", noLoad[string](t), "load 1")
		time.Sleep(time.Minute + time.Hour)
		gets(t, c, "k", value("new"), "new")
		if s := c.Stats(); s.Stale != 10 || s.Refreshes != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestStaleIfError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: failSafe})
		set(t, c, "k", "old")
		time.Sleep(time.Minute)
		loads := 0
		gets(t, c, "k", failing(&loads), "old")
		gets(t, c, "k", failing(&loads), "old")
		if loads != 1 {
			t.Errorf("%d loads within RetryAfter", loads)
		}
		time.Sleep(time.Second + 1)
		gets(t, c, "k", failing(&loads), "old")
		if loads != 2 {
			t.Errorf("%d loads after RetryAfter", loads)
		}
		time.Sleep(time.Hour)
		if v, err := c.GetOrLoad(t.Context(), "k", failing(&loads)); err != errDown {
			t.Errorf("an hour later: %q, %v", v, err)
		}
		gets(t, c, "k", value("new"), "new") // what there is nothing to serve for is asked again
	})
}

// A value that a view without StaleIfError wrote is kept for the one that has it.
func TestStaleIfErrorOfAnotherView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Minute, Jitter: -1}})
		safe := plain.With(func(p *tiered.Policy) { p.StaleIfError = time.Hour })
		set(t, plain, "k", "old")
		gets(t, plain, "loaded", value("old"), "old")
		time.Sleep(time.Minute)
		loads := 0
		for _, key := range []string{"k", "loaded"} {
			if v, err := plain.GetOrLoad(t.Context(), key, failing(&loads)); err != errDown {
				t.Errorf("the view without: %q, %v", v, err)
			}
			gets(t, safe, key, failing(&loads), "old")
		}
	})
}

// Callers of different views share a load that fails, each under its own policy.
func TestStaleIfErrorSharedLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		safe := newCache(t, tiered.Options[string]{Policy: failSafe})
		plain := safe.With(func(p *tiered.Policy) { p.StaleIfError = 0 })
		set(t, safe, "k", "old")
		time.Sleep(time.Minute)
		open := make(chan struct{})
		load := func(context.Context, *tiered.Entry[string]) (string, error) {
			<-open
			return "", errDown
		}
		first := begin(t, plain, "k", load)
		synctest.Wait()
		second := begin(t, safe, "k", noLoad[string](t))
		synctest.Wait()
		close(open)
		<-first.done
		<-second.done
		if first.err != errDown {
			t.Errorf("without: %q, %v", first.value, first.err)
		}
		if second.value != "old" || second.err != nil {
			t.Errorf("with: %q, %v", second.value, second.err)
		}
	})
}

// A failing source is asked once per RetryAfter for each key: by callers, in the background, and by batches.
func TestRetryAfter(t *testing.T) {
	policies := map[string]tiered.Policy{
		"stale if error":         {TTL: time.Minute, StaleIfError: 24 * time.Hour, RetryAfter: 10 * time.Second, Jitter: -1},
		"stale while revalidate": {TTL: time.Minute, StaleWhileRevalidate: 24 * time.Hour, RetryAfter: 10 * time.Second, Jitter: -1},
		"due":                    {TTL: 24 * time.Hour, RefreshAfter: time.Minute, RetryAfter: 10 * time.Second, Jitter: -1},
	}
	keys := []string{"a", "b", "c"}
	for name, p := range policies {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tiered.Options[string]{Policy: p})
				for _, key := range keys {
					set(t, c, key, "old", "their tag")
				}
				time.Sleep(time.Minute)
				asked := make(chan string, 1_000)
				batch := func(_ context.Context, ids []string) (map[string]string, error) {
					for _, id := range ids {
						asked <- id
					}
					return nil, errDown
				}
				load := func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
					_, err := batch(ctx, []string{e.Key})
					return "", err
				}
				for range 100 { // of a second each
					gets(t, c, "a", load, "old")
					got, err := tiered.GetOrLoadMany(t.Context(), c, keys, self, batch)
					if len(got) != 3 || got["c"] != "old" || err != nil {
						t.Fatalf("%v, %v", got, err)
					}
					if err := c.InvalidateTags(t.Context(), "another tag"); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				if n := len(asked); n < 27 || n > 33 {
					t.Errorf("asked %d times for 3 keys in 100 s, with 10 s between", n)
				}
			})
		})
	}
}

// What a source doesn't have any more isn't served any more, also if that isn't to be remembered.
func TestStaleAndGone(t *testing.T) {
	gone := func(context.Context, *tiered.Entry[string]) (string, error) { return "", tiered.ErrNotFound }
	unkept := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Policy.TTL = 0
		return "not to be kept", nil
	}
	for name, load := range map[string]tiered.Loader[string]{"gone": gone, "not kept": unkept} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{
					TTL: time.Minute, RefreshAfter: 30 * time.Second, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour, Jitter: -1,
				}})
				for _, age := range []time.Duration{30 * time.Second, time.Minute} {
					set(t, c, "k", "old")
					time.Sleep(age)
					gets(t, c, "k", load, "old")
					synctest.Wait()
					if e, err := c.Lookup(t.Context(), "k"); err != tiered.ErrNotFound {
						t.Errorf("after the load at %v: %+v, %v", age, e, err)
					}
				}
			})
		})
	}
}

// A stale value goes with its tags, with Clear, Delete and Set, also while a load that is to replace it is under way, or
// has just failed.
func TestStaleValueIsInvalidated(t *testing.T) {
	changes := map[string]func(c *tiered.Cache[string]) error{
		"Delete":         func(c *tiered.Cache[string]) error { return c.Delete(context.Background(), "k") },
		"InvalidateTags": func(c *tiered.Cache[string]) error { return c.InvalidateTags(context.Background(), "tag") },
		"Clear":          func(c *tiered.Cache[string]) error { return c.Clear(context.Background()) },
		"Set":            func(c *tiered.Cache[string]) error { return c.Set(context.Background(), "k", "set") },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want, wantErr := "", errDown
				if name == "Set" {
					want, wantErr = "set", nil
				}
				c := newCache(t, tiered.Options[string]{Policy: failSafe})
				check := func() {
					t.Helper()
					loads := 0
					if err := change(c); err != nil {
						t.Fatal(err)
					}
					if v, err := c.GetOrLoad(t.Context(), "k", failing(&loads)); v != want || err != wantErr {
						t.Errorf("got %q, %v", v, err)
					}
				}
				loads := 0
				set(t, c, "k", "old", "tag")
				time.Sleep(time.Minute)
				gets(t, c, "k", failing(&loads), "old")
				check() // after a load that failed

				set(t, c, "k", "old", "tag")
				time.Sleep(time.Minute)
				load := begin(t, c, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
					time.Sleep(time.Second)
					return "late", nil
				})
				synctest.Wait()
				check() // during a load
				<-load.done
				if v, err := c.Get(t.Context(), "k"); name == "Set" && v != "set" || name != "Set" && err != tiered.ErrNotFound {
					t.Errorf("after the load: %q, %v", v, err)
				}
			})
		})
	}
}

// LocalTTL holds also for what is kept longer as a fallback.
func TestLocalTTLOfAFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{
			TTL: time.Hour, LocalTTL: time.Minute, StaleIfError: time.Hour, Jitter: -1,
		}})
		set(t, c, "k", "old")
		time.Sleep(time.Minute)
		if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
			t.Errorf("Get got %q, %v", v, err)
		}
		if got, err := c.GetMany(t.Context(), "k"); len(got) > 0 || err != nil {
			t.Errorf("GetMany got %v, %v", got, err)
		}
		loads := 0
		gets(t, c, "k", failing(&loads), "old")
		time.Sleep(time.Second + 1)
		gets(t, c, "k", value("new"), "new")
	})
}

// The keys of one batch may be in different states.
func TestStaleBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{
			TTL: time.Hour, RefreshAfter: 30 * time.Minute, StaleWhileRevalidate: time.Hour, StaleIfError: 2 * time.Hour, Jitter: -1,
		}})
		ages := []string{"older", "fallback", "outdated", "due", "fresh"}
		for i, key := range ages {
			set(t, c, key, "old")
			time.Sleep([]time.Duration{60, 60, 50, 25, 15}[i] * time.Minute)
		}
		var mu sync.Mutex
		var asked []string
		batch := func(_ context.Context, ids []string) (map[string]string, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, ids...)
			return map[string]string{"missing": "new"}, errDown
		}
		got, err := tiered.GetOrLoadMany(t.Context(), c, append(ages, "missing"), self, batch)
		if err != errDown || len(got) != 5 || got["missing"] != "new" || got["fallback"] != "old" || got["older"] != "" {
			t.Errorf("%v, %v", got, err)
		}
		synctest.Wait()
		slices.Sort(asked)
		if want := []string{"due", "fallback", "missing", "older", "outdated"}; !slices.Equal(asked, want) {
			t.Errorf("asked for %v", asked)
		}
	})
}

// What a batch renews in the background doesn't hold up what it waits for.
func TestBatchDoesNotWaitForRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Hour, Jitter: -1}})
		const rounds = 50 // in some of them the one comes first, in some the other
		for i := range rounds {
			set(t, c, fmt.Sprint("stale", i), "old")
		}
		time.Sleep(time.Minute)
		batch := func(ctx context.Context, ids []string) (map[string]string, error) {
			if strings.HasPrefix(ids[0], "stale") {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return map[string]string{ids[0]: "new"}, nil
		}
		began := time.Now()
		for i := range rounds {
			keys := []string{fmt.Sprint("stale", i), fmt.Sprint("missing", i)}
			got, err := tiered.GetOrLoadMany(t.Context(), c, keys, self, batch)
			if len(got) != 2 || err != nil || time.Since(began) > 0 {
				t.Fatalf("%v, %v after %v", got, err, time.Since(began))
			}
		}
	})
}

// A Clone is made of a stale value too.
func TestStaleClone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[[]int]{Clone: slices.Clone[[]int], Policy: failSafe})
		if err := c.Set(t.Context(), "k", []int{1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for range 2 {
			v, err := c.GetOrLoad(t.Context(), "k", func(_ context.Context, e *tiered.Entry[[]int]) ([]int, error) {
				e.Value[0]++
				return nil, errDown
			})
			if err != nil || v[0] != 1 {
				t.Errorf("%v, %v", v, err)
			}
			v[0]++
			time.Sleep(time.Second)
		}
	})
}
