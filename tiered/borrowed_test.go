package tiered_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// loan is a string over memory that its owner uses again, as the parameters of some web frameworks are.
type loan []byte

func lend(s string) loan { return loan(s) }

// text is the string, until the next write.
func (l loan) text() string { return unsafe.String(unsafe.SliceData(l), len(l)) }

// write uses the memory again.
func (l loan) write(s string) {
	if copy(l, s) != len(l) {
		panic("want a text of the same length")
	}
}

// lendAll returns the texts of loans, in a slice that is used again too.
func lendAll(texts ...string) (lent []string, write func(s string)) {
	loans := make([]loan, len(texts))
	for i, s := range texts {
		loans[i] = lend(s)
		lent = append(lent, loans[i].text())
	}
	return lent, func(s string) {
		for i, l := range loans {
			l.write(s)
			lent[i] = s
		}
	}
}

// everywhere runs the test on a cache in its process alone, and on one with Redis for each of the ways to hear of changes. The
// caches have names of their own on the server.
func everywhere(t *testing.T, s *redistest.Server, o tiered.Options[string], test func(t *testing.T, c *tiered.Cache[string])) {
	t.Run("in-process", func(t *testing.T) {
		t.Parallel()
		test(t, newCache(t, o))
	})
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			o := o
			o.Name = strings.NewReplacer(" ", "-", "#", "-").Replace(t.Name())
			o.Redis = newRedis(t, s, tiered.RedisOptions{Invalidation: how})
			c := newCache(t, o)
			settled(t, how, newCache(t, tiered.Options[string]{Name: o.Name, Redis: newRedis(t, s, tiered.RedisOptions{Invalidation: how})}), c)
			test(t, c)
		})
	}
}

// of is the value that belongs to a key.
func of(key string) string { return "of " + key }

func loadOf(_ context.Context, e *tiered.Entry[string]) (string, error) { return of(e.Key), nil }

func loadAllOf(_ context.Context, keys []string) (map[string]string, error) {
	values := make(map[string]string)
	for _, key := range keys {
		values[key] = of(key)
	}
	return values, nil
}

// calls that leave "u1" in the cache, with the value of it, or fail.
var fillings = map[string]func(ctx context.Context, c *tiered.Cache[string], key string) error{
	"GetOrLoad": func(ctx context.Context, c *tiered.Cache[string], key string) error {
		return second(c.GetOrLoad(ctx, key, loadOf))
	},
	"Refresh": func(ctx context.Context, c *tiered.Cache[string], key string) error {
		return second(c.Refresh(ctx, key, loadOf))
	},
	"Set": func(ctx context.Context, c *tiered.Cache[string], key string) error {
		return c.Set(ctx, key, of("u1"))
	},
	"SetMany": func(ctx context.Context, c *tiered.Cache[string], key string) error {
		return c.SetMany(ctx, map[string]string{key: of("u1")})
	},
	"GetOrLoadMany": func(ctx context.Context, c *tiered.Cache[string], key string) error {
		return second(tiered.GetOrLoadMany(ctx, c, []string{key, "u3"}, self, loadAllOf))
	},
}

// What a call brought is found under its key, and under no other, though the caller has used the key's memory again.
func TestKeyIsOverwrittenAfterFilling(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, fill := range fillings {
		t.Run(name, func(t *testing.T) {
			everywhere(t, s, tiered.Options[string]{Policy: longLived}, func(t *testing.T, c *tiered.Cache[string]) {
				ctx := t.Context()
				key := lend("u1")
				if err := fill(ctx, c, key.text()); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					key.write("u2")
					keep(t, c, "u1", of("u1")) // in the local tier
					if v, err := c.Get(ctx, "u2"); err != tiered.ErrNotFound {
						t.Errorf("u2: %q, %v", v, err)
					}
					key.write("u1")
					gets(t, c, "u1", noLoad[string](t), of("u1"))
				}
			})
		})
	}
}

// Reads that bring a value from Redis to the local tier keep it under its key.
func TestKeyIsOverwrittenAfterReading(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, read := range map[string]func(ctx context.Context, c *tiered.Cache[string], key string) error{
		"Get": func(ctx context.Context, c *tiered.Cache[string], key string) error { return second(c.Get(ctx, key)) },
		"Lookup": func(ctx context.Context, c *tiered.Cache[string], key string) error {
			return second(c.Lookup(ctx, key))
		},
		"GetMany": func(ctx context.Context, c *tiered.Cache[string], key string) error {
			return second(c.GetMany(ctx, key, "u3"))
		},
		"GetOrLoad": func(ctx context.Context, c *tiered.Cache[string], key string) error {
			return second(c.GetOrLoad(ctx, key, loadOf))
		},
		"GetOrLoadMany": func(ctx context.Context, c *tiered.Cache[string], key string) error {
			return second(tiered.GetOrLoadMany(ctx, c, []string{key, "u3"}, self, loadAllOf))
		},
	} {
		for mode, how := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				open := func() *tiered.Cache[string] {
					return newCache(t, tiered.Options[string]{Name: name + "-" + mode, Redis: newRedis(t, s, tiered.RedisOptions{Invalidation: how})})
				}
				a, b := open(), open()
				set(t, a, "u1", of("u1"))
				settled(t, how, a, b)
				key := lend("u1")
				if err := read(t.Context(), b, key.text()); err != nil {
					t.Fatal(err)
				}
				key.write("u2")
				waitFor(t, func() bool { return isLocal(t, b, "u1", of("u1")) })
				if v, err := b.Get(t.Context(), "u2"); err != tiered.ErrNotFound {
					t.Errorf("u2: %q, %v", v, err)
				}
			})
		}
	}
}

// What a cache hands out is its own: an Entry's Key and Tags, the keys of a batch, and what a Loader and a Trace are told.
func TestWhatIsHandedOutMayBeKept(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var mu sync.Mutex
	var told []string
	tell := func(keys ...string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, keys...)
	}
	t.Cleanup(func() { // when the subtests have ended
		for _, key := range told {
			if key != "u1" {
				t.Errorf("told of %q", key)
			}
		}
	})
	o := tiered.Options[string]{
		Policy: tiered.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour},
		Trace: &tiered.Trace{
			LoadDone:    func(_ context.Context, keys []string, _ time.Duration, _ error) { tell(keys...) },
			StaleServed: func(_ context.Context, key string, _ error) { tell(key) },
		},
	}
	everywhere(t, s, o, func(t *testing.T, c *tiered.Cache[string]) {
		ctx := t.Context()
		load := func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
			tell(e.Key)
			e.Tags = []string{"t1"}
			return loadOf(ctx, e)
		}
		key := lend("u1")
		for range 2 { // stale in the end
			key.write("u1")
			_, err := c.With(func(p *tiered.Policy) { p.TTL, p.Jitter = time.Millisecond, -1 }).GetOrLoad(ctx, key.text(), load)
			if err != nil {
				t.Fatal(err)
			}
			key.write("u2")
			isStale(t, c, "u1")
		}
		key.write("u1")
		if v, err := c.GetOrLoad(ctx, key.text(), load); v != of("u1") || err != nil {
			t.Fatal(v, err)
		}
		key.write("u2")
		key.write("u1")
		set(t, c, "u1", of("u1"), "t1")
		handsOut(t, c, key)
	})
	t.Run("from Redis", func(t *testing.T) {
		t.Parallel()
		set(t, newProcess(t, s, tiered.RedisOptions{Invalidation: tiered.None}, longLived), "u1", of("u1"), "t1")
		handsOut(t, newProcess(t, s, tiered.RedisOptions{Invalidation: tiered.None}, longLived), lend("u1"))
		handsOut(t, newProcess(t, s, tiered.RedisOptions{Invalidation: tiered.None}, tiered.Policy{LocalTTL: time.Millisecond}), lend("u1"))
	})
}

// handsOut checks what reads of "u1" hand out.
func handsOut(t *testing.T, c *tiered.Cache[string], key loan) {
	t.Helper()
	e, err := c.Lookup(t.Context(), key.text())
	many, manyErr := c.GetMany(t.Context(), key.text())
	if err := errors.Join(err, manyErr); err != nil {
		t.Fatal(err)
	}
	key.write("u2")
	if e.Key != "u1" || !slices.Equal(e.Tags, []string{"t1"}) || !maps.Equal(many, map[string]string{"u1": of("u1")}) {
		t.Errorf("%+v, %v", e, many)
	}
}

// Delete and Expire are of the keys that they were called with, also where their calls to Redis go on.
func TestKeyIsOverwrittenAfterRemoval(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, remove := range map[string]func(ctx context.Context, c *tiered.Cache[string], keys ...string) error{
		"Delete": func(ctx context.Context, c *tiered.Cache[string], keys ...string) error {
			return c.Delete(ctx, keys...)
		},
		"Expire": func(ctx context.Context, c *tiered.Cache[string], keys ...string) error {
			return c.Expire(ctx, keys...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, s, tiered.Options[string]{Policy: longLived}, func(t *testing.T, c *tiered.Cache[string]) {
				for _, key := range []string{"u1", "u2", "u3"} {
					set(t, c, key, of(key))
				}
				keys, write := lendAll("u1", "u3")
				if err := remove(t.Context(), c, keys...); err != nil {
					t.Fatal(err)
				}
				write("u2")
				got, err := c.GetMany(t.Context(), "u1", "u2", "u3")
				if err != nil || !maps.Equal(got, map[string]string{"u2": of("u2")}) {
					t.Errorf("%v, %v", got, err)
				}
			})
		})
	}
}

// The tags of a value are those that it was given, by Set, SetMany or a loader.
func TestTagsAreOverwritten(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, fill := range map[string]func(ctx context.Context, c *tiered.Cache[string], tags []string) error{
		"Set": func(ctx context.Context, c *tiered.Cache[string], tags []string) error {
			return c.Set(ctx, "u1", of("u1"), tags...)
		},
		"SetMany": func(ctx context.Context, c *tiered.Cache[string], tags []string) error {
			return c.SetMany(ctx, map[string]string{"u1": of("u1"), "u3": of("u3")}, tags...)
		},
		"GetOrLoad": func(ctx context.Context, c *tiered.Cache[string], tags []string) error {
			return second(c.GetOrLoad(ctx, "u1", tagged(of("u1"), tags...)))
		},
		"Refresh": func(ctx context.Context, c *tiered.Cache[string], tags []string) error {
			return second(c.Refresh(ctx, "u1", tagged(of("u1"), tags...)))
		},
		"GetOrLoadEntries": func(ctx context.Context, c *tiered.Cache[string], tags []string) error {
			return second(tiered.GetOrLoadEntries(ctx, c, []string{"u1"}, self,
				func(ctx context.Context, keys []string, entries []*tiered.Entry[string]) (map[string]string, error) {
					entries[0].Tags = tags
					return loadAllOf(ctx, keys)
				}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, s, tiered.Options[string]{Policy: longLived}, func(t *testing.T, c *tiered.Cache[string]) {
				ctx := t.Context()
				tags, write := lendAll("t1", "t3")
				if err := fill(ctx, c, tags); err != nil {
					t.Fatal(err)
				}
				write("t2")
				e, err := c.Lookup(ctx, "u1")
				if got := slices.Sorted(slices.Values(e.Tags)); err != nil || !slices.Equal(got, []string{"t1", "t3"}) {
					t.Fatalf("tags %q, %v", got, err)
				}
				set(t, c, "u4", of("u4"), "t4") // what knows of tags has more of them
				invalidated, overwrite := lendAll("t2")
				if err := c.InvalidateTags(ctx, invalidated...); err != nil {
					t.Fatal(err)
				}
				overwrite("t3")
				gets(t, c, "u1", noLoad[string](t), of("u1"))
				invalidated, overwrite = lendAll("t3")
				if err := c.InvalidateTags(ctx, invalidated...); err != nil {
					t.Fatal(err)
				}
				overwrite("t4")
				if v, err := c.Get(ctx, "u1"); err != tiered.ErrNotFound {
					t.Errorf("after its tag was invalidated: %q, %v", v, err)
				}
				gets(t, c, "u4", noLoad[string](t), of("u4"))
			})
		})
	}
}

// The names of a cache and of the keys in Redis are those that New and NewRedis were called with.
func TestNamesAreOverwritten(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	name, prefix := lend("users"), lend("one:")
	r := newRedis(t, s, tiered.RedisOptions{Prefix: prefix.text()})
	c := newCache(t, tiered.Options[string]{Name: name.text(), Redis: r})
	name.write("other")
	prefix.write("two:")
	set(t, c, "u1", of("u1"))
	if n := s.Do("EXISTS", "one:users:u1"); n != int64(1) {
		t.Errorf("one:users:u1 is there %v times", n)
	}
	s.Do("DEL", "one:users:u1")
	follows(t, c, "u1", "") // the name is in what is heard
}
