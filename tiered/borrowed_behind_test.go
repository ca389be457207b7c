package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// slow is a source whose loads wait to be let go, and then bring the value and the tag of the key that they were called with.
type slow struct {
	running chan struct{}
	open    chan struct{}
	ended   atomic.Int32
}

func newSlow() *slow { return &slow{running: make(chan struct{}, 10), open: make(chan struct{})} }

func (s *slow) wait(ctx context.Context) error {
	defer s.ended.Add(1)
	s.running <- struct{}{}
	select {
	case <-s.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slow) load(ctx context.Context, e *tiered.Entry[string]) (string, error) {
	err := s.wait(ctx)
	e.Tags = []string{"tag of " + e.Key}
	return "new " + of(e.Key), err
}

func (s *slow) loadAll(ctx context.Context, keys []string) (map[string]string, error) {
	err := s.wait(ctx)
	values := make(map[string]string)
	for _, key := range keys {
		values[key] = "new " + of(key)
	}
	return values, err
}

// lateLoads are ways in which a load outlives its call.
var lateLoads = map[string]struct {
	policy tiered.Policy
	stale  bool // the value that is there
	leaves bool // nothing is there, and the caller leaves
}{
	"StaleWhileRevalidate": {policy: tiered.Policy{StaleWhileRevalidate: time.Hour}, stale: true},
	"RefreshAfter":         {policy: tiered.Policy{RefreshAfter: time.Millisecond}},
	"SoftTimeout":          {policy: tiered.Policy{SoftTimeout: time.Millisecond, StaleIfError: time.Hour}, stale: true},
	"the caller leaves":    {leaves: true},
}

type account struct {
	tenant [1]string
	user   string
}

// lateCalls are the calls that may end before their load.
var lateCalls = map[string]func(ctx context.Context, c *tiered.Cache[string], key string, s *slow) (string, error){
	"GetOrLoad": func(ctx context.Context, c *tiered.Cache[string], key string, s *slow) (string, error) {
		return c.GetOrLoad(ctx, key, s.load)
	},
	"GetOrLoadMany": func(ctx context.Context, c *tiered.Cache[string], key string, s *slow) (string, error) {
		got, err := tiered.GetOrLoadMany(ctx, c, []string{key}, self, s.loadAll)
		return got["u1"], err
	},
	"GetOrLoadMany of structs": func(ctx context.Context, c *tiered.Cache[string], key string, s *slow) (string, error) {
		id := account{[1]string{key[:1]}, key[1:]}
		name := func(a account) string { return a.tenant[0] + a.user }
		got, err := tiered.GetOrLoadMany(ctx, c, []account{id}, name, func(ctx context.Context, ids []account) (map[account]string, error) {
			err := s.wait(ctx)
			values := make(map[account]string)
			for _, id := range ids {
				values[id] = "new " + of(name(id))
			}
			return values, err
		})
		return got[account{[1]string{"u"}, "1"}], err
	},
}

// A load that goes on when its call has returned brings the value of the key that it was called with, and stores it under
// that, whatever the key's memory is used for meanwhile.
func TestKeyIsOverwrittenWhileItsLoadRuns(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for when, late := range lateLoads {
		for name, call := range lateCalls {
			for use, back := range map[string]bool{"for another key": false, "and set back": true} {
				t.Run(when+"/"+name+"/"+use, func(t *testing.T) {
					o := tiered.Options[string]{Policy: late.policy}
					o.Policy.TTL = time.Hour
					everywhere(t, s, o, func(t *testing.T, c *tiered.Cache[string]) {
						switch {
						case late.stale:
							set(t, c.With(func(p *tiered.Policy) { *p = brief(*p) }), "u1", of("u1"))
							isStale(t, c, "u1")
						case !late.leaves:
							set(t, c, "u1", of("u1"))
							time.Sleep(2 * time.Millisecond) // more than RefreshAfter
						}
						source, key := newSlow(), lend("u1")
						ctx, leave := context.WithCancel(t.Context())
						defer leave()
						first := begun(func() (string, error) { return call(ctx, c, key.text(), source) })
						<-source.running
						if late.leaves {
							leave()
							if _, err := first.wait(t); !errors.Is(err, context.Canceled) {
								t.Fatal(err)
							}
						} else {
							first.gets(t, of("u1"))
						}
						key.write("u2")
						close(source.open)
						if back {
							waitFor(t, func() bool { return source.ended.Load() == 1 })
							key.write("u1")
						}
						waitFor(t, func() bool {
							v, err := c.Get(t.Context(), "u1")
							if err == nil && v != of("u1") && v != "new "+of("u1") {
								t.Fatalf("u1: %q", v)
							}
							return v == "new "+of("u1")
						})
						key.write("u2")
						if v, err := c.Get(t.Context(), "u2"); err != tiered.ErrNotFound {
							t.Errorf("u2: %q, %v", v, err)
						}
					})
				})
			}
		}
	}
}

// Callers find a flight by the key that it was begun with.
func TestFlightOfAnOverwrittenKey(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, call := range lateCalls {
		t.Run(name, func(t *testing.T) {
			everywhere(t, s, tiered.Options[string]{Policy: longLived}, func(t *testing.T, c *tiered.Cache[string]) {
				source, other, key := newSlow(), newSlow(), lend("u1")
				ctx, leave := context.WithCancel(t.Context())
				first := begun(func() (string, error) { return call(ctx, c, key.text(), source) })
				<-source.running
				leave()
				if _, err := first.wait(t); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				key.write("u2")
				second := begin(t, c, "u1", noLoad[string](t))
				waitFor(t, func() bool { return c.Stats().Collapsed == 1 })
				third := begin(t, c, "u2", other.load)
				<-other.running
				close(source.open)
				close(other.open)
				second.gets(t, "new "+of("u1"))
				third.gets(t, "new "+of("u2"))
			})
		})
	}
}

// A source that has failed isn't asked again for the key within RetryAfter.
func TestKeyOfAFailedLoadIsOverwritten(t *testing.T) {
	t.Parallel()
	policy := brief(tiered.Policy{StaleIfError: time.Hour, RetryAfter: time.Hour})
	fail := func(t *testing.T, c *tiered.Cache[string]) {
		loads, key := 0, lend("u1")
		gets(t, c, key.text(), failing(&loads), of("u1"))
		key.write("u2")
		gets(t, c, "u1", failing(&loads), of("u1"))
		gets(t, c, "u2", loadOf, of("u2"))
		if loads != 1 {
			t.Errorf("%d loads within RetryAfter", loads)
		}
	}
	t.Run("in-process", func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: policy})
		set(t, c, "u1", of("u1"))
		isStale(t, c, "u1")
		fail(t, c)
	})
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			o := tiered.RedisOptions{Invalidation: how}
			a, b := newProcess(t, s, o, policy), newProcess(t, s, o, policy)
			set(t, a, "u1", of("u1"))
			isStale(t, a, "u1")
			settled(t, how, a, b)
			fail(t, b)
		})
	}
}

// What a loader returns with Clone is the cache's own: the loader may go on using it.
func TestCloneOfLoadedValue(t *testing.T) {
	t.Parallel()
	c := newCache(t, tiered.Options[[]byte]{Clone: bytes.Clone})
	buffer := []byte("v1")
	for name, fill := range map[string]func() error{
		"GetOrLoad": func() error { return second(c.GetOrLoad(t.Context(), "GetOrLoad", value(buffer))) },
		"Refresh":   func() error { return second(c.Refresh(t.Context(), "Refresh", value(buffer))) },
		"Set":       func() error { return c.Set(t.Context(), "Set", buffer) },
		"GetOrLoadMany": func() error {
			return second(tiered.GetOrLoadMany(t.Context(), c, []string{"GetOrLoadMany"}, self, func(_ context.Context, keys []string) (map[string][]byte, error) {
				return map[string][]byte{keys[0]: buffer}, nil
			}))
		},
	} {
		copy(buffer, "v1")
		if err := fill(); err != nil {
			t.Fatal(err)
		}
		copy(buffer, "v2")
		if v, err := c.Get(t.Context(), name); string(v) != "v1" || err != nil {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
}
