package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// lasting values serve long past their time if a load fails.
var lasting = tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour, Jitter: -1}

// expiries make what has the tag stale, the one without anything else.
var expiries = map[string]func(ctx context.Context, c *tiered.Cache[string]) error{
	"ExpireTags": func(ctx context.Context, c *tiered.Cache[string]) error {
		return c.ExpireTags(ctx, "tag", "nobody's", "tag")
	},
	"ExpireAll": func(ctx context.Context, c *tiered.Cache[string]) error { return c.ExpireAll(ctx) },
}

// expire runs the test for each expiry of a cache, in its process alone and with Redis.
func expire(t *testing.T, p tiered.Policy, test func(t *testing.T, c *tiered.Cache[string], all bool, expire func() error)) {
	for name, expire := range expiries {
		t.Run(name+"/in-process", func(t *testing.T) {
			c := newCache(t, tiered.Options[string]{Policy: p})
			test(t, c, name == "ExpireAll", func() error { return expire(t.Context(), c) })
		})
		for mode, how := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				c := newProcess(t, redistest.Start(t), tiered.RedisOptions{Invalidation: how}, p)
				test(t, c, name == "ExpireAll", func() error { return expire(t.Context(), c) })
			})
		}
	}
}

// stale checks that the key's value is there, and only as a stale one.
func stale(t testing.TB, c *tiered.Cache[string], key, want string) {
	t.Helper()
	if v, err := c.Get(t.Context(), key); err != tiered.ErrNotFound {
		t.Errorf("Get of %s: %q, %v", key, v, err)
	}
	if got, err := c.GetMany(t.Context(), key); len(got) != 0 || err != nil {
		t.Errorf("GetMany of %s: %v, %v", key, got, err)
	}
	if e, err := c.Lookup(t.Context(), key); e.Value != want || e.State != tiered.Stale || err != nil {
		t.Errorf("Lookup of %s: %+v, %v; want %q, stale", key, e, err, want)
	}
}

// What is expired is never served as a fresh value again, but if a load fails; the next load gets it, and makes it fresh.
func TestExpireTags(t *testing.T) {
	expire(t, lasting, func(t *testing.T, c *tiered.Cache[string], all bool, expire func() error) {
		ctx := t.Context()
		keys := []string{"fails", "fails in a batch", "loads", "refreshes"}
		for _, key := range keys {
			set(t, c, key, "old", "a", "tag")
		}
		set(t, c, "other", "old", "a")
		if err := c.ExpireTags(ctx); err != nil {
			t.Error(err)
		}
		for n := range 3 { // an expiry of what is stale already changes nothing
			if err := expire(); err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				stale(t, c, key, "old")
			}
			if n < 2 {
				continue
			}
			if all {
				stale(t, c, "other", "old")
			} else {
				gets(t, c, "other", noLoad[string](t), "old")
			}
		}
		loads := 0
		gets(t, c, "fails", failing(&loads), "old")
		batch := func(context.Context, []string) (map[string]string, error) { return nil, errDown }
		if got, err := tiered.GetOrLoadMany(ctx, c, []string{"fails in a batch"}, self, batch); got["fails in a batch"] != "old" {
			t.Errorf("a batch: %v, %v", got, err)
		}
		load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			if e.Value != "old" || !e.Found || e.State != tiered.Stale || !slices.Equal(e.Tags, []string{"a", "tag"}) {
				t.Errorf("the loader got %+v", e)
			}
			return "new", nil
		}
		gets(t, c, "loads", load, "new")
		if v, err := c.Refresh(ctx, "refreshes", load); v != "new" || err != nil {
			t.Errorf("a refresh: %q, %v", v, err)
		}
		for _, key := range []string{"loads", "refreshes"} {
			gets(t, c, key, noLoad[string](t), "new")
			if v, err := c.Get(ctx, key); v != "new" || err != nil {
				t.Errorf("%s: %q, %v", key, v, err)
			}
		}
		if err := expire(); err != nil {
			t.Fatal(err)
		}
		stale(t, c, "loads", "new")
		stale(t, c, "fails", "old")
	})
}

// A policy that serves nothing stale has only the loader get it.
func TestExpireTagsWithoutStale(t *testing.T) {
	expire(t, longLived, func(t *testing.T, c *tiered.Cache[string], _ bool, expire func() error) {
		set(t, c, "k", "old", "tag")
		if err := expire(); err != nil {
			t.Fatal(err)
		}
		if e, err := c.Lookup(t.Context(), "k"); err != tiered.ErrNotFound {
			t.Errorf("%+v, %v", e, err)
		}
		loads := 0
		if v, err := c.GetOrLoad(t.Context(), "k", failing(&loads)); err != errDown {
			t.Errorf("%q, %v", v, err)
		}
		gets(t, c, "k", value("new"), "new")
		gets(t, c, "k", noLoad[string](t), "new")
	})
}

// An absence that is remembered is forgotten.
func TestExpireTagsOfAnAbsence(t *testing.T) {
	p := lasting
	p.NotFoundTTL = time.Hour
	expire(t, p, func(t *testing.T, c *tiered.Cache[string], _ bool, expire func() error) {
		_, err := c.GetOrLoad(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			e.Tags = []string{"tag"}
			return "", tiered.ErrNotFound
		})
		if err != tiered.ErrNotFound {
			t.Fatal(err)
		}
		if err := expire(); err != nil {
			t.Fatal(err)
		}
		gets(t, c, "k", value("new"), "new")
	})
}

// What was expired is invalidated like anything else, whichever came last.
func TestExpireTagsAndInvalidate(t *testing.T) {
	t.Parallel()
	for name, invalidate := range map[string]func(ctx context.Context, c *tiered.Cache[string]) error{
		"InvalidateTags": func(ctx context.Context, c *tiered.Cache[string]) error { return c.InvalidateTags(ctx, "tag") },
		"Clear":          func(ctx context.Context, c *tiered.Cache[string]) error { return c.Clear(ctx) },
		"Delete":         func(ctx context.Context, c *tiered.Cache[string]) error { return c.Delete(ctx, "before", "after") },
	} {
		t.Run(name, func(t *testing.T) {
			expire(t, lasting, func(t *testing.T, c *tiered.Cache[string], _ bool, expire func() error) {
				for _, key := range []string{"before", "after"} {
					set(t, c, key, "old", "tag")
					err := expire()
					if key == "before" {
						_, _ = c.Lookup(t.Context(), key)
					}
					if err := errors.Join(err, invalidate(t.Context(), c), expire()); err != nil {
						t.Fatal(err)
					}
					if e, err := c.Lookup(t.Context(), key); err != tiered.ErrNotFound {
						t.Errorf("%+v, %v", e, err)
					}
				}
				set(t, c, "after", "new", "tag")
				gets(t, c, "after", noLoad[string](t), "new")
			})
		})
	}
}

// A load that was under way is not kept, and what was there stays, stale.
func TestExpireTagsDuringALoad(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} {
		t.Run(fmt.Sprint("there ", there), func(t *testing.T) {
			expire(t, lasting, func(t *testing.T, c *tiered.Cache[string], all bool, expire func() error) {
				set(t, c, "before", "v", "tag")
				if there {
					set(t, c, "k", "older", "tag")
					if err := c.Expire(t.Context(), "k"); err != nil {
						t.Fatal(err)
					}
				}
				loading, loaded := make(chan struct{}), make(chan struct{})
				first := begin(t, c, "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
					close(loading)
					<-loaded
					e.Tags = []string{"tag"}
					return "old", nil
				})
				<-loading
				if err := expire(); err != nil {
					t.Fatal(err)
				}
				second := begin(t, c, "k", tagged("new", "tag"))
				if !all && !there { // Redis may report the change late: a caller that comes now doesn't join then
					waitFor(t, func() bool { return c.Stats().Collapsed == 1 })
				}
				close(loaded)
				first.gets(t, "old")
				second.gets(t, "new")
				gets(t, c, "k", noLoad[string](t), "new")
			})
		})
	}
}

// Who begins to wait after an expiry gets a value from after it, also while reads, loads and failures go on.
func TestExpiriesRace(t *testing.T) {
	t.Parallel()
	expire(t, longLived, func(t *testing.T, c *tiered.Cache[string], _ bool, expire func() error) {
		var source, expired atomic.Int64
		load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			e.Tags = []string{"tag"}
			return fmt.Sprintf("%09d", source.Load()), nil
		}
		done := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					least := fmt.Sprintf("%09d", expired.Load())
					read := func() (string, error) { return c.GetOrLoad(t.Context(), "k", load) }
					if i == 0 {
						read = func() (string, error) {
							got, err := c.GetMany(t.Context(), "k")
							return max(got["k"], least), err // if it is there
						}
					}
					if v, err := read(); err != nil || v < least {
						t.Errorf("got %q, %v after %s was expired", v, err, least)
						return
					}
				}
			})
		}
		for n := int64(1); n <= 200; n++ {
			source.Store(n)
			if err := expire(); err != nil {
				t.Error(err)
			}
			expired.Store(n)
		}
		close(done)
		wg.Wait()
	})
}

// A slow load leaves the stale value to its callers, for as long as the policy says.
func TestSoftTimeoutAfterExpireTags(t *testing.T) {
	for name, expire := range expiries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := failSafe
				p.SoftTimeout = time.Second
				c := newCache(t, tiered.Options[string]{Policy: p})
				set(t, c, "k", "old", "tag")
				if err := expire(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				stale(t, c, "k", "old")
				time.Sleep(30 * time.Minute) // the sweeper has come by
				stale(t, c, "k", "old")
				slow := func(context.Context, *tiered.Entry[string]) (string, error) {
					time.Sleep(time.Minute / 6)
					return "new", nil
				}
				if took := waited(t, c, slow, "old"); took != time.Second {
					t.Errorf("it took %v", took)
				}
				if err := c.ExpireTags(t.Context(), "tag"); err != nil { // while it is offered
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				gets(t, c, "k", value("newer"), "newer")
				time.Sleep(62 * time.Minute)
				if e, err := c.Lookup(t.Context(), "k"); err != tiered.ErrNotFound {
					t.Errorf("past StaleIfError: %+v, %v", e, err)
				}
			})
		})
	}
}

// A load that fails leaves what was expired while it ran to its callers.
func TestExpireTagsWhileALoadFails(t *testing.T) {
	for name, expire := range expiries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tiered.Options[string]{Policy: failSafe})
				set(t, c, "k", "old", "tag")
				if err := c.Expire(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
				fails := make(chan struct{})
				call := begin(t, c, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
					<-fails
					return "", errDown
				})
				synctest.Wait()
				if err := errors.Join(expire(t.Context(), c), expire(t.Context(), c)); err != nil {
					t.Fatal(err)
				}
				close(fails)
				call.gets(t, "old")
			})
		})
	}
}
