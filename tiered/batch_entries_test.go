package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// withAndWithoutRedis runs a test with a cache in one tier and with one in two.
func withAndWithoutRedis(t *testing.T, p tiered.Policy, f func(t *testing.T, c *tiered.Cache[string])) {
	t.Run("without Redis", func(t *testing.T) { f(t, newCache(t, tiered.Options[string]{Policy: p})) })
	t.Run("with Redis", func(t *testing.T) {
		f(t, newProcess(t, redistest.Start(t), tiered.RedisOptions{}, p))
	})
}

// many loads what it is asked for.
func many(v string) func(context.Context, []string) (map[string]string, error) {
	return func(_ context.Context, ids []string) (map[string]string, error) {
		values := make(map[string]string)
		for _, id := range ids {
			values[id] = v
		}
		return values, nil
	}
}

// What a batch reloads keeps the tags of what it replaces, as with GetOrLoad.
func TestBatchKeepsTags(t *testing.T) {
	p := tiered.Policy{TTL: time.Hour, RefreshAfter: time.Millisecond, StaleWhileRevalidate: time.Hour, StaleIfError: 2 * time.Hour, Jitter: -1}
	for name, prepare := range map[string]func(t *testing.T, c *tiered.Cache[string]){
		"RefreshAfter": func(t *testing.T, c *tiered.Cache[string]) {
			set(t, c, "k", "old", "tag", "other")
		},
		"StaleWhileRevalidate": func(t *testing.T, c *tiered.Cache[string]) {
			set(t, c.With(func(p *tiered.Policy) { *p = brief(*p) }), "k", "old", "tag", "other")
			isStale(t, c, "k")
		},
		"StaleIfError": func(t *testing.T, c *tiered.Cache[string]) {
			set(t, c, "k", "old", "tag", "other")
			if err := c.Expire(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			withAndWithoutRedis(t, p, func(t *testing.T, c *tiered.Cache[string]) {
				prepare(t, c)
				calm := c.With(func(p *tiered.Policy) { p.RefreshAfter = 0 })
				waitFor(t, func() bool {
					if s := c.Stats(); s.Loads+s.Refreshes == 0 { // one load: a later one would bring "new" after the tag is invalidated
						got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"k"}, self, many("new"))
						if err != nil || got["k"] == "" {
							t.Fatalf("%v, %v", got, err)
						}
					}
					e, err := calm.Lookup(t.Context(), "k")
					return err == nil && e.Value == "new"
				})
				e, err := calm.Lookup(t.Context(), "k")
				if slices.Sort(e.Tags); err != nil || !slices.Equal(e.Tags, []string{"other", "tag"}) {
					t.Errorf("the new value has the tags %q, %v", e.Tags, err)
				}
				if err := c.InvalidateTags(t.Context(), "tag"); err != nil {
					t.Fatal(err)
				}
				if v, err := calm.Get(t.Context(), "k"); err != tiered.ErrNotFound {
					t.Errorf("after its tag was invalidated: %q, %v", v, err)
				}
			})
		})
	}
}

// What a batch's loader makes of an entry holds for the value, in both tiers and in other processes.
func TestGetOrLoadEntries(t *testing.T) {
	t.Parallel()
	p := tiered.Policy{TTL: time.Hour, NotFoundTTL: time.Hour, StaleIfError: time.Hour, Jitter: -1}
	load := func(_ context.Context, ids []string, entries []*tiered.Entry[string]) (map[string]string, error) {
		values := make(map[string]string)
		for i, id := range ids {
			e := entries[i]
			if e.Key != "key of "+id || e.Found || e.Policy.TTL != time.Hour {
				return nil, fmt.Errorf("the entry of %s is %+v", id, e)
			}
			values[id] = id
			e.Tags = []string{"tag of " + id}
			switch id {
			case "unkept":
				e.Policy.TTL = 0
			case "windowed":
				e.Policy.StaleWhileRevalidate = 2 * time.Hour
			case "brief":
				e.Policy.TTL = time.Millisecond
			case "absent":
				delete(values, id)
			case "forgotten":
				delete(values, id)
				e.Policy.NotFoundTTL = 0
			}
		}
		return values, nil
	}
	ids := []string{"plain", "unkept", "windowed", "brief", "absent", "forgotten"}
	key := func(id string) string { return "key of " + id }
	check := func(t *testing.T, c *tiered.Cache[string]) {
		t.Helper()
		for id, want := range map[string]tiered.State{
			"plain": tiered.Fresh, "windowed": tiered.Fresh, "brief": tiered.Stale, "absent": tiered.NotFound, "unkept": 0, "forgotten": 0,
		} {
			e, err := c.Lookup(t.Context(), key(id))
			if e.State != want || (want == tiered.Fresh || want == tiered.Stale) && (err != nil || e.Value != id) {
				t.Errorf("%s: %+v, %v", id, e, err)
			}
			if want != 0 && !slices.Equal(e.Tags, []string{"tag of " + id}) {
				t.Errorf("%s has the tags %q", id, e.Tags)
			}
		}
	}
	run := func(t *testing.T, c, other *tiered.Cache[string]) {
		got, err := tiered.GetOrLoadEntries(t.Context(), c, ids, key, load)
		want := map[string]string{"plain": "plain", "unkept": "unkept", "windowed": "windowed", "brief": "brief"}
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("%v, %v", got, err)
		}
		isStale(t, c, key("brief"))
		isStale(t, other, key("brief")) // whose estimate of Redis's clock may differ
		for _, c := range []*tiered.Cache[string]{c, other, c} {
			check(t, c)
		}
		if err := c.InvalidateTags(t.Context(), "tag of plain", "tag of absent"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*tiered.Cache[string]{c, other} {
			waitFor(t, func() bool { // the other process hears of it
				_, plain := c.Lookup(t.Context(), key("plain"))
				e, _ := c.Lookup(t.Context(), key("absent"))
				return plain == tiered.ErrNotFound && e.State == 0
			})
			if e, err := c.Lookup(t.Context(), key("windowed")); err != nil || e.Value != "windowed" {
				t.Errorf("%+v, %v", e, err)
			}
		}
	}
	t.Run("without Redis", func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: p})
		run(t, c, c)
	})
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			s, o := redistest.Start(t), tiered.RedisOptions{Invalidation: mode, Heartbeat: 200 * time.Millisecond}
			a, b := newProcess(t, s, o, p), newProcess(t, s, o, p)
			settled(t, mode, a, b)
			run(t, a, b)
		})
	}
}

// A batch's loader sees the values that it replaces, and returns those that have not changed.
func TestBatchSeesWhatItReplaces(t *testing.T) {
	withAndWithoutRedis(t, tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour}, func(t *testing.T, c *tiered.Cache[string]) {
		if err := c.SetMany(t.Context(), map[string]string{"a": "old a", "b": "old b"}, "tag"); err != nil {
			t.Fatal(err)
		}
		if err := c.Expire(t.Context(), "a", "b"); err != nil {
			t.Fatal(err)
		}
		got, err := tiered.GetOrLoadEntries(t.Context(), c, []string{"a", "b", "c"}, self,
			func(_ context.Context, ids []string, entries []*tiered.Entry[string]) (map[string]string, error) {
				values := make(map[string]string)
				for i, id := range ids {
					switch e := entries[i]; {
					case e.Found != (id != "c"), e.Found && (e.State != tiered.Stale || e.Value != "old "+id || !slices.Equal(e.Tags, []string{"tag"})):
						return nil, fmt.Errorf("%s: %+v", id, e)
					case id == "a":
						values[id] = e.Value // not modified
					default:
						values[id] = "new " + id
					}
				}
				return values, nil
			})
		want := map[string]string{"a": "old a", "b": "new b", "c": "new c"}
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("%v, %v", got, err)
		}
		if got, err := c.GetMany(t.Context(), "a", "b", "c"); err != nil || !maps.Equal(got, want) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// A loader may sort the ids that it gets, and keep them.
func TestBatchLoaderSortsItsIds(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"c", "a", "b"}, self, func(_ context.Context, ids []string) (map[string]string, error) {
		slices.Sort(ids)
		defer clear(ids)
		return map[string]string{"a": "A", "b": "B", "c": "C"}, nil
	})
	want := map[string]string{"a": "A", "b": "B", "c": "C"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := c.GetMany(t.Context(), "a", "b", "c"); err != nil || !maps.Equal(got, want) {
		t.Errorf("cached: %v, %v", got, err)
	}
}

// A batch whose arguments are wrong is an error.
func TestWrongBatch(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	if _, err := tiered.GetOrLoadEntries(t.Context(), c, []string{"a"}, self, nil); err == nil {
		t.Error("no loader")
	}
	if _, err := tiered.GetOrLoadMany(t.Context(), c, []string{"a"}, self, nil); err == nil {
		t.Error("no loader")
	}
	if _, err := tiered.GetOrLoadMany(t.Context(), c, []string{"a"}, nil, many("v")); err == nil {
		t.Error("no key function")
	}
	if _, err := tiered.GetOrLoadMany(t.Context(), c, []string{"a", ""}, self, many("v")); err == nil || c.Stats().Loads > 0 {
		t.Errorf("an empty key: %v, %+v", err, c.Stats())
	}
}

// ways are the ways in which a load can fail.
var ways = map[string]func() (string, error){
	"an error":   func() (string, error) { return "", errDown },
	"a panic":    func() (string, error) { panic("another caller's") },
	"a deadline": func() (string, error) { return "", context.DeadlineExceeded },
	"a cause":    func() (string, error) { return "", fmt.Errorf("not for you: %w", context.Canceled) },
}

// A batch loads itself what another caller failed to load while the batch waited for it.
func TestBatchLoadsWhatOthersFailedTo(t *testing.T) {
	t.Parallel()
	for name, fail := range ways {
		t.Run(name, func(t *testing.T) {
			withAndWithoutRedis(t, tiered.Policy{}, func(t *testing.T, c *tiered.Cache[string]) {
				release := make(chan struct{})
				other := begin(t, c, "5", func(context.Context, *tiered.Entry[string]) (string, error) {
					<-release
					return fail()
				})
				waitFor(t, func() bool { return c.Stats().Loads == 1 })
				var mu sync.Mutex
				var asked []string
				batch := begun(func() (string, error) {
					got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"4", "5", "6"}, self, func(ctx context.Context, ids []string) (map[string]string, error) {
						mu.Lock()
						defer mu.Unlock()
						asked = append(asked, ids...)
						return many("v")(ctx, ids)
					})
					return fmt.Sprint(got), err
				})
				waitFor(t, func() bool { return c.Stats().Collapsed == 1 })
				close(release)
				batch.gets(t, "map[4:v 5:v 6:v]")
				if _, err := other.wait(t); err == nil {
					t.Error("the other caller has no error")
				}
				if slices.Sort(asked); !slices.Equal(asked, []string{"4", "5", "6"}) {
					t.Errorf("the batch's loader was asked for %q", asked)
				}
			})
		})
	}
}

// However many others fail, one after the other, a batch that waited for two of them loads by itself.
func TestBatchAmongCallersThatFail(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	over := make(chan struct{})
	var others sync.WaitGroup
	for range 8 {
		others.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					_, _ = c.GetOrLoad(t.Context(), "5", func(context.Context, *tiered.Entry[string]) (string, error) { return "", errDown })
				}
			}
		})
	}
	for range 200 {
		got, err := tiered.GetOrLoadEntries(t.Context(), c, []string{"4", "5", "6"}, self,
			func(ctx context.Context, ids []string, entries []*tiered.Entry[string]) (map[string]string, error) {
				for _, e := range entries {
					e.Policy.TTL = 0
				}
				return many("v")(ctx, ids)
			})
		if err != nil || len(got) != 3 {
			t.Fatalf("%v, %v", got, err)
		}
	}
	close(over)
	others.Wait()
}

// Many batches that wait for one load that fails share the next one too, and the last.
func TestBatchesShareTheirRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		var batches sync.WaitGroup
		for range 50 {
			batches.Go(func() {
				_, err := tiered.GetOrLoadMany(t.Context(), c, []string{"k"}, self, func(context.Context, []string) (map[string]string, error) {
					time.Sleep(time.Second)
					return nil, errDown
				})
				if err != errDown {
					t.Error(err)
				}
			})
		}
		began := time.Now()
		batches.Wait()
		if n := c.Stats().Loads; n != 3 || time.Since(began) != 3*time.Second {
			t.Errorf("%d loads in %v", n, time.Since(began))
		}
	})
}

// Two batches that wait for each other's keys, and both fail, load each other's keys themselves.
func TestBatchesThatFailEachOther(t *testing.T) {
	withAndWithoutRedis(t, tiered.Policy{}, func(t *testing.T, c *tiered.Cache[string]) {
		release := make(chan struct{})
		batch := func(own string, ids ...string) *call {
			return begun(func() (string, error) {
				got, err := tiered.GetOrLoadMany(t.Context(), c, ids, self, func(ctx context.Context, ids []string) (map[string]string, error) {
					<-release
					if slices.Contains(ids, own) {
						return nil, errors.New("failed to load " + own)
					}
					return many("v")(ctx, ids)
				})
				return fmt.Sprint(got), err
			})
		}
		a := batch("a", "a")
		waitFor(t, func() bool { return c.Stats().Loads == 1 })
		b := batch("b", "b", "a")
		waitFor(t, func() bool { return c.Stats().Loads == 2 })
		a2 := batch("none", "a", "b", "c")
		waitFor(t, func() bool { return c.Stats().Loads == 3 })
		close(release)
		if _, err := a.wait(t); err == nil || err.Error() != "failed to load a" {
			t.Error(err)
		}
		if v, err := b.wait(t); err == nil || err.Error() != "failed to load b" || v != "map[a:v]" {
			t.Errorf("%s, %v", v, err)
		}
		a2.gets(t, "map[a:v b:v c:v]")
	})
}

// A batch's own failure is its error, and its own panic reaches it.
func TestBatchesOwnFailure(t *testing.T) {
	withAndWithoutRedis(t, tiered.Policy{}, func(t *testing.T, c *tiered.Cache[string]) {
		for name, fail := range ways {
			loads := 0
			call := begun(func() (string, error) {
				_, err := tiered.GetOrLoadMany(t.Context(), c, []string{name, name + "2"}, self, func(context.Context, []string) (map[string]string, error) {
					loads++
					_, err := fail()
					return nil, err
				})
				return "", err
			})
			if _, err := call.wait(t); err == nil || loads != 1 || (name == "a panic") != strings.Contains(err.Error(), "panic") {
				t.Errorf("%s: %v, %d loads", name, err, loads)
			}
		}
	})
}

// What another process failed to load, and gave its lease back for, the batch loads.
func TestBatchLoadsWhatAnotherProcessFailedTo(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			s, a, b := twoProcesses(t, mode)
			if mode == tiered.None {
				set(t, b, "other", "v")
			} else {
				caughtUp(t, a, b)
			}
			release := make(chan struct{})
			theirs := begun(func() (string, error) {
				_, err := tiered.GetOrLoadMany(t.Context(), a, []string{"5", "7"}, self, func(context.Context, []string) (map[string]string, error) {
					<-release
					return map[string]string{"7": "theirs"}, errDown
				})
				return "", err
			})
			waitFor(t, func() bool { return leased(s, "5") && leased(s, "7") })
			batch := begun(func() (string, error) {
				got, err := tiered.GetOrLoadMany(t.Context(), b, []string{"4", "5", "6", "7"}, self, many("v"))
				return fmt.Sprint(got), err
			})
			waitFor(t, func() bool { return b.Stats().Loads == 1 })
			close(release)
			batch.gets(t, "map[4:v 5:v 6:v 7:theirs]")
			if _, err := theirs.wait(t); err != errDown {
				t.Error(err)
			}
		})
	}
}
