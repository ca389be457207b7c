package tiered_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// The same struct in two releases of a program.
type (
	oldUser struct {
		ID   int
		Name string
		Rev  int64
	}
	newUser struct {
		ID       int
		FullName string `json:"full_name"`
		Rev      int64
	}
)

// release is a process of one release, as the test sees it.
type release struct {
	get          func(ctx context.Context, id int) (rev int64, err error) // an error if the value has another form
	del, expire  func(ctx context.Context, keys ...string) error
	set          func(ctx context.Context, id int) error
	invalidate   func(ctx context.Context, tags ...string) error
	stats        func() tiered.Stats
	reads, loads atomic.Int64
}

func userKey(id int) string { return fmt.Sprintf("user:%d", id) }

// newRelease returns a process whose T is the user of one release. make makes it, and ok reports whether it is whole.
func newRelease[T any](t *testing.T, s *redistest.Server, source func(id int) int64, make func(id int, rev int64) T, ok func(v T, id int) (rev int64, whole bool)) *release {
	c := newCache(t, tiered.Options[T]{Name: "users", Redis: newRedis(t, s, tiered.RedisOptions{})})
	r := &release{del: c.Delete, expire: c.Expire, invalidate: c.InvalidateTags, stats: c.Stats}
	r.set = func(ctx context.Context, id int) error {
		return c.Set(ctx, userKey(id), make(id, source(id)), "users", userKey(id))
	}
	r.get = func(ctx context.Context, id int) (int64, error) {
		r.reads.Add(1)
		v, err := c.GetOrLoad(ctx, userKey(id), func(_ context.Context, e *tiered.Entry[T]) (T, error) {
			r.loads.Add(1)
			e.Tags = []string{"users", userKey(id)}
			return make(id, source(id)), nil
		})
		if err != nil {
			return 0, err
		}
		rev, whole := ok(v, id)
		if !whole {
			return 0, fmt.Errorf("id %d: the value of another release: %+v", id, v)
		}
		return rev, nil
	}
	return r
}

func newOldUsers(t *testing.T, s *redistest.Server, source func(id int) int64) *release {
	return newRelease(t, s, source,
		func(id int, rev int64) oldUser { return oldUser{id, fmt.Sprint("user ", id), rev} },
		func(v oldUser, id int) (int64, bool) { return v.Rev, v.ID == id && v.Name == fmt.Sprint("user ", id) })
}

func newNewUsers(t *testing.T, s *redistest.Server, source func(id int) int64) *release {
	return newRelease(t, s, source,
		func(id int, rev int64) newUser { return newUser{id, fmt.Sprint("User ", id), rev} },
		func(v newUser, id int) (int64, bool) {
			return v.Rev, v.ID == id && v.FullName == fmt.Sprint("User ", id)
		})
}

// While two releases of a program are deployed, each gets its own values from the cache, and nothing older than what was
// deleted, set or invalidated by the other.
func TestRollingDeploy(t *testing.T) {
	t.Parallel()
	const ids, rounds = 40, 3000
	s := redistest.Start(t)
	var revs [ids]atomic.Int64
	source := func(id int) int64 { return revs[id].Load() }
	processes := []*release{newOldUsers(t, s, source), newOldUsers(t, s, source), newNewUsers(t, s, source), newNewUsers(t, s, source)}
	var wg sync.WaitGroup
	for p, r := range processes {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(p)))
			for range rounds {
				id := random.IntN(ids)
				least := revs[id].Load()
				write := func(do error) {
					if do != nil {
						t.Error(do)
					}
				}
				switch random.IntN(2000) {
				case 0:
					revs[id].Add(1)
					write(r.del(t.Context(), userKey(id)))
				case 1:
					revs[id].Add(1)
					write(r.invalidate(t.Context(), userKey(id)))
				case 2:
					revs[id].Add(1)
					write(r.expire(t.Context(), userKey(id)))
				default:
					least = -1 // another process may be about to write
				}
				if rev, err := r.get(t.Context(), id); err != nil {
					t.Error(err)
				} else if rev < least {
					t.Errorf("process %d: user %d is of revision %d after a write at %d", p, id, rev, least)
				}
			}
		})
	}
	wg.Wait()
	for p, r := range processes {
		if loads, reads := r.loads.Load(), r.reads.Load(); loads*10 > reads {
			t.Errorf("process %d loaded %d times for %d reads: %+v", p, loads, reads, r.stats())
		}
		if st := r.stats(); st.CodecErrors != 0 {
			t.Errorf("process %d: %+v", p, st)
		}
	}
}

// What one release writes ends the values of all.
func TestWritesReachAllReleases(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, write := range map[string]func(ctx context.Context, r *release, id int) error{
		"Delete":         func(ctx context.Context, r *release, id int) error { return r.del(ctx, userKey(id)) },
		"Expire":         func(ctx context.Context, r *release, id int) error { return r.expire(ctx, userKey(id)) },
		"Set":            func(ctx context.Context, r *release, id int) error { return r.set(ctx, id) },
		"InvalidateTags": func(ctx context.Context, r *release, id int) error { return r.invalidate(ctx, userKey(id)) },
		"DEL":            func(_ context.Context, _ *release, id int) error { s.Do("DEL", "tc:users:"+userKey(id)); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := int(rand.Int32())
			var rev atomic.Int64
			source := func(int) int64 { return rev.Load() }
			older, newer := newOldUsers(t, s, source), newNewUsers(t, s, source)
			for _, writer := range []*release{older, newer} {
				// Each has its value, in Redis too. What one stores while it doesn't know of the last invalidation yet isn't valid there, and
				// is loaded once more.
				observe.Until(t, "Redis has the values of both releases", func() bool {
					for range 3 {
						for _, r := range []*release{older, newer} {
							if got, err := r.get(t.Context(), id); err != nil || got != rev.Load() {
								t.Fatalf("%d, %v", got, err)
							}
						}
					}
					loads := int64(0)
					for _, fresh := range []*release{newOldUsers(t, s, source), newNewUsers(t, s, source)} {
						if got, err := fresh.get(t.Context(), id); err != nil || got != rev.Load() {
							t.Fatalf("%d, %v", got, err)
						}
						loads += fresh.loads.Load()
					}
					return loads == 0
				})
				loads := older.loads.Load() + newer.loads.Load()
				rev.Add(1)
				if err := write(t.Context(), writer, id); err != nil {
					t.Fatal(err)
				}
				for _, r := range []*release{older, newer} {
					observe.Until(t, "the new value", func() bool {
						got, err := r.get(t.Context(), id)
						return err == nil && got == rev.Load()
					})
				}
				if more := older.loads.Load() + newer.loads.Load() - loads; more < 1 || more > 2 {
					t.Errorf("%d loads after the write", more)
				}
			}
		})
	}
}
