package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// everything is a policy in which a value has all its states.
var everything = tiered.Policy{
	TTL: time.Hour, NotFoundTTL: time.Hour, StaleWhileRevalidate: time.Hour, StaleIfError: 2 * time.Hour, RetryAfter: time.Hour, Jitter: -1,
}

// origin is what a loader does, and what is to come of that for a key that had nothing: what the caller gets, and what is cached
// afterwards.
type origin struct {
	load       tiered.Loader[string]
	get, after string
}

func (o origin) fails() bool { return o.get == errDown.Error() || o.get == "panic" || o.get == "tags" }

var sources = map[string]origin{
	"answers": {value("new"), "new", "new"},
	"fails":   {func(context.Context, *tiered.Entry[string]) (string, error) { return "", errDown }, errDown.Error(), ""},
	"has none": {func(context.Context, *tiered.Entry[string]) (string, error) {
		return "", fmt.Errorf("not here: %w", tiered.ErrNotFound)
	}, "none", "absent"},
	"panics": {func(context.Context, *tiered.Entry[string]) (string, error) { panic("boom") }, "panic", ""},
	"isn't to be kept": {func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Policy.TTL = 0
		return "new", nil
	}, "new", ""},
	"tags": {func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Tags = []string{"tagged"}
		return "new", nil
	}, "new", "new tagged"},
	"has too many tags": {func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Tags = manyTags("tag", 1000)
		return "new", nil
	}, "tags", ""},
}

// states are what there is of a key, and what changes of what is to come of a load.
var states = map[string]struct {
	prepare func(t *testing.T, c *tiered.Cache[string], key string)
	edit    func(p *tiered.Policy)
	// what the caller gets, and what is cached afterwards; "": as if there had been nothing
	get, after map[string]string
}{
	"missing": {prepare: func(*testing.T, *tiered.Cache[string], string) {}},
	"missing, stored behind": {
		prepare: func(*testing.T, *tiered.Cache[string], string) {},
		edit:    func(p *tiered.Policy) { p.StoreBehind = true },
	},
	"due": {
		prepare: func(t *testing.T, c *tiered.Cache[string], key string) {
			set(t, c, key, "old", "tag")
			time.Sleep(2 * time.Millisecond) // more than RefreshAfter
		},
		edit:  func(p *tiered.Policy) { p.RefreshAfter = time.Millisecond },
		get:   all("old"),
		after: map[string]string{"answers": "new tag", "fails": "old tag", "panics": "old tag", "has none": "absent tag", "has too many tags": "old tag"},
	},
	"outdated": {
		prepare: func(t *testing.T, c *tiered.Cache[string], key string) {
			set(t, c.With(func(p *tiered.Policy) { *p = brief(*p) }), key, "old", "tag")
			time.Sleep(2 * time.Millisecond) // its TTL
		},
		get:   all("old"),
		after: map[string]string{"answers": "new tag", "fails": "old tag", "panics": "old tag", "has none": "absent tag", "has too many tags": "old tag"},
	},
	"a fallback": {
		prepare: func(t *testing.T, c *tiered.Cache[string], key string) {
			set(t, c, key, "old", "tag")
			if err := c.Expire(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		},
		get:   map[string]string{"fails": "old", "has too many tags": "old"},
		after: map[string]string{"answers": "new tag", "fails": "old tag", "panics": "old tag", "has none": "absent tag", "has too many tags": "old tag"},
	},
}

func all(get string) map[string]string {
	m := make(map[string]string)
	for source := range sources {
		m[source] = get
	}
	return m
}

// asEntries is the loader as that of a batch.
func asEntries(load tiered.Loader[string]) func(context.Context, []string, []*tiered.Entry[string]) (map[string]string, error) {
	return func(ctx context.Context, ids []string, entries []*tiered.Entry[string]) (map[string]string, error) {
		values := make(map[string]string)
		for i, id := range ids {
			v, err := load(ctx, entries[i])
			if err != nil && !errors.Is(err, tiered.ErrNotFound) {
				return nil, err
			}
			if err == nil {
				values[id] = v
			}
		}
		return values, nil
	}
}

// doors are the ways to ask for keys. They return what each gets.
var doors = map[string]struct {
	keys []string
	ask  func(t *testing.T, c *tiered.Cache[string], keys []string, load tiered.Loader[string]) []string
}{
	"GetOrLoad": {[]string{"a"}, func(t *testing.T, c *tiered.Cache[string], keys []string, load tiered.Loader[string]) []string {
		v, err := c.GetOrLoad(t.Context(), keys[0], load)
		if errors.Is(err, tiered.ErrNotFound) {
			return []string{"none"}
		}
		return []string{got(v, err)}
	}},
	"a batch of one":   {[]string{"a"}, askMany},
	"a batch of three": {[]string{"a", "b", "c"}, askMany},
}

func askMany(t *testing.T, c *tiered.Cache[string], keys []string, load tiered.Loader[string]) (gets []string) {
	values, err := tiered.GetOrLoadEntries(t.Context(), c, keys, self, asEntries(load))
	for _, key := range keys {
		v, ok := values[key]
		if !ok && err == nil {
			v = "none"
		}
		if !ok && err != nil || ok && err == nil || v == "none" {
			gets = append(gets, got(v, err))
		} else {
			gets = append(gets, fmt.Sprint(v, " with ", err))
		}
	}
	return gets
}

func got(v string, err error) string {
	if err == nil {
		return v
	}
	if errors.Is(err, errDown) {
		return errDown.Error()
	}
	return "tags"
}

// counters are those that a call changes, for each key; a batch has one load.
type counters struct{ misses, remoteHits, loads, loadErrors, refreshes, stale, codecErrors uint64 }

func count(before, after tiered.Stats, keys int) counters {
	n := uint64(keys)
	return counters{
		(after.Misses - before.Misses) / n, (after.RemoteHits - before.RemoteHits) / n, after.Loads - before.Loads,
		after.LoadErrors - before.LoadErrors, (after.Refreshes - before.Refreshes) / n, (after.Stale - before.Stale) / n,
		after.CodecErrors - before.CodecErrors,
	}
}

// cached is what Lookup returns: "new tag", "absent" or nothing.
func cached(t *testing.T, c *tiered.Cache[string], key string) (is string) {
	e, err := c.Lookup(t.Context(), key)
	switch {
	case err != nil && e.State == tiered.NotFound:
		is = "absent"
	case err != nil:
		return ""
	default:
		is = e.Value
	}
	for _, tag := range e.Tags {
		is += " " + tag
	}
	return is
}

// A batch does with each of its keys what GetOrLoad does: it returns the same, leaves the same in both tiers and counts the same.
func TestBatchDoesAsGetOrLoad(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := 0
	for state, st := range states {
		for source, src := range sources {
			wantGet, wantAfter := src.get, src.after
			if w, ok := st.get[source]; ok {
				wantGet = w
			}
			if w, ok := st.after[source]; ok {
				wantAfter = w
			}
			var counts [2]map[string]counters // without Redis and with it
			for i := range counts {
				counts[i] = make(map[string]counters)
			}
			for door, d := range doors {
				run := func(t *testing.T, c, other *tiered.Cache[string], counts map[string]counters, settle func(done func() bool)) {
					view := c
					if st.edit != nil {
						view = c.With(st.edit)
					}
					for _, key := range d.keys {
						st.prepare(t, view, key)
					}
					before := c.Stats()
					for i, get := range ask(t, view, d.keys, src.load, d.ask) {
						if get != wantGet {
							t.Errorf("%s got %q, want %q", d.keys[i], get, wantGet)
						}
					}
					calm := c.With(func(*tiered.Policy) {})
					settle(func() bool {
						st := c.Stats()
						return st.Loads > before.Loads && (!src.fails() || st.LoadErrors > before.LoadErrors)
					})
					counts[door] = count(before, c.Stats(), len(d.keys))
					for _, key := range d.keys {
						settle(func() bool { return cached(t, calm, key) == wantAfter && cached(t, other, key) == wantAfter })
					}
				}
				t.Run(fmt.Sprintf("%s, the source %s, by %s", state, source, door), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c := newCache(t, tiered.Options[string]{Policy: everything})
						run(t, c, c, counts[0], func(done func() bool) {
							synctest.Wait()
							if !done() {
								t.Errorf("what is cached is %q, want %q", cached(t, c, "a"), wantAfter)
							}
						})
					})
					n++
					o := tiered.Options[string]{Name: fmt.Sprint("c", n), Policy: everything}
					o.Redis = newRedis(t, s, tiered.RedisOptions{Invalidation: tiered.None})
					c := newCache(t, o)
					o.Redis = newRedis(t, s, tiered.RedisOptions{Invalidation: tiered.None})
					o.Policy.LocalTTL = time.Millisecond
					set(t, c, "to know the cache's epoch", "")
					run(t, c, newCache(t, o), counts[1], func(done func() bool) { waitFor(t, done) })
				})
			}
			for i, name := range []string{"without Redis", "with Redis"} {
				for door := range doors {
					if one := counts[i]["GetOrLoad"]; counts[i][door] != one {
						t.Errorf("%s, the source %s, %s %s: %+v; GetOrLoad: %+v", state, source, name, door, counts[i][door], one)
					}
				}
			}
		}
	}
}

// ask takes a panic for what each key gets.
func ask(t *testing.T, c *tiered.Cache[string], keys []string, load tiered.Loader[string],
	f func(*testing.T, *tiered.Cache[string], []string, tiered.Loader[string]) []string) (gets []string) {
	defer func() {
		if p, ok := recover().(*tiered.LoaderPanic); ok && p.Value == "boom" {
			gets = make([]string, len(keys))
			for i := range gets {
				gets[i] = "panic"
			}
		}
	}()
	return f(t, c, keys, load)
}

// A batch whose load is slow gets the stale values after SoftTimeout, once for all its keys.
func TestSoftTimeoutOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: everything}).With(func(p *tiered.Policy) { p.SoftTimeout = time.Second })
		keys := []string{"a", "b", "c"}
		for _, key := range keys {
			set(t, c, key, "old")
		}
		if err := c.Expire(t.Context(), keys...); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for i, get := range askMany(t, c, keys, func(context.Context, *tiered.Entry[string]) (string, error) {
			time.Sleep(5 * time.Second)
			return "new", nil
		}) {
			if get != "old" {
				t.Errorf("%s got %q", keys[i], get)
			}
		}
		if took := time.Since(began); took != time.Second || c.Stats().Stale != 3 {
			t.Errorf("it took %v, %+v", took, c.Stats())
		}
		time.Sleep(15 * time.Second)
		if got, err := c.GetMany(t.Context(), keys...); err != nil || got["c"] != "new" {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// GetMany does with each of its keys what Get does.
func TestGetManyDoesAsGet(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	foreign := func(value string) func(*testing.T, *tiered.Cache[string], string) {
		return func(t *testing.T, _ *tiered.Cache[string], key string) { s.Do("SET", "tc:test:"+key, value) }
	}
	for name, tc := range map[string]struct {
		prepare   func(t *testing.T, c *tiered.Cache[string], key string)
		want      string
		onlyRedis bool
	}{
		"missing":      {states["missing"].prepare, "none", false},
		"fresh":        {states["due"].prepare, "old", false},
		"outdated":     {states["outdated"].prepare, "none", false},
		"a fallback":   {states["a fallback"].prepare, "none", false},
		"garbage":      {foreign("{no JSON"), "none", true},
		"a lease":      {foreign("\xc1tl\x010123456789abcdef\xe8\x07\x00"), "none", true},
		"another's":    {foreign(`"old"`), "old", true},
		"a bad frame":  {foreign("\xc1tc\x01 and so on, for more than seventeen bytes"), "none", true},
		"another type": {func(t *testing.T, _ *tiered.Cache[string], key string) { s.Do("LPUSH", "tc:test:"+key, "v") }, "none", true},
		"absent": {func(t *testing.T, c *tiered.Cache[string], key string) {
			if _, err := c.GetOrLoad(t.Context(), key, sources["has none"].load); !errors.Is(err, tiered.ErrNotFound) {
				t.Fatal(err)
			}
		}, "none", false},
	} {
		t.Run(name, func(t *testing.T) {
			compare := func(t *testing.T, writer, c *tiered.Cache[string]) {
				keys := []string{name + " a", name + " b", name + " c"}
				for _, key := range append(keys, name) {
					tc.prepare(t, writer, key)
				}
				before := c.Stats()
				v, err := c.Get(t.Context(), name)
				if err == tiered.ErrNotFound {
					v, err = "none", nil
				}
				one := count(before, c.Stats(), 1)
				if v != tc.want || err != nil {
					t.Errorf("Get: %q, %v; want %q", v, err, tc.want)
				}
				before = c.Stats()
				values, err := c.GetMany(t.Context(), keys...)
				three := count(before, c.Stats(), 3)
				three.codecErrors /= 3
				for _, key := range keys {
					v, ok := values[key]
					if !ok {
						v = "none"
					}
					if v != tc.want || err != nil {
						t.Errorf("GetMany: %s: %q, %v; want %q", key, v, err, tc.want)
					}
				}
				if one != three {
					t.Errorf("Get: %+v, GetMany: %+v", one, three)
				}
			}
			if !tc.onlyRedis {
				c := newCache(t, tiered.Options[string]{Policy: everything})
				compare(t, c, c)
			}
			for range 2 { // from Redis, and from the local tier
				writer, c := newProcess(t, s, quiet, everything), newProcess(t, s, quiet, everything)
				compare(t, writer, c)
				compare(t, c, c)
				s.Do("FLUSHALL")
			}
		})
	}
}
