package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
				if !all {
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

// Other processes follow, and serve what is stale if a load fails.
func TestExpireTagsInAnotherProcess(t *testing.T) {
	for name, expire := range expiries {
		for mode, how := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				a, b := newProcess(t, s, lively(how), lasting), newProcess(t, s, lively(how), lasting)
				for _, key := range []string{"k", "l"} {
					set(t, a, key, "old", "tag")
					keep(t, b, key, "old")
				}
				if err := expire(t.Context(), a); err != nil {
					t.Fatal(err)
				}
				follows(t, b, "k", "")
				stale(t, b, "l", "old")
				third := newProcess(t, s, lively(how), lasting)
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
	cluster := redistest.StartCluster(t)
	process := func() *tiered.Cache[string] {
		r, err := tiered.NewRedis(cluster.Client(t), lively(tiered.Tracking))
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

// An expiry that Redis didn't take is replayed as one, and an invalidation of the same stays what it is.
func TestQueuedExpiries(t *testing.T) {
	ctx := t.Context()
	s := redistest.Start(t)
	a, b := newOutpost(t, s, lively(tiered.Tracking)), newProcess(t, s, lively(tiered.Tracking), lasting)
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
			if err := a.Set(ctx, "k", "old", "tag"); err != nil {
				t.Fatal(err)
			}
			keep(t, b, "k", "old")
			a.brakes.on.Store(true)
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
			a.brakes.on.Store(false)
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
	s := redistest.Start(t)
	client := s.Client(t)
	var made trips
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
