package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const day = 24 * time.Hour

// forEver are durations near the longest, and far from it but longer than any process.
var forEver = []time.Duration{math.MaxInt64, math.MaxInt64 - 1, 292 * 365 * day, 100 * 365 * day}

// fills are the ways in which a value with a tag comes into a cache. name is the key.
var fills = map[string]func(ctx context.Context, c *tiered.Cache[string], name string) error{
	"Set": func(ctx context.Context, c *tiered.Cache[string], name string) error {
		return c.Set(ctx, name, "v", "t")
	},
	"SetMany": func(ctx context.Context, c *tiered.Cache[string], name string) error {
		return c.SetMany(ctx, map[string]string{name: "v"}, "t")
	},
	"GetOrLoad": func(ctx context.Context, c *tiered.Cache[string], name string) error {
		return second(c.GetOrLoad(ctx, name, tagged("v", "t")))
	},
	"Refresh": func(ctx context.Context, c *tiered.Cache[string], name string) error {
		return second(c.Refresh(ctx, name, tagged("v", "t")))
	},
	"GetOrLoadMany": func(ctx context.Context, c *tiered.Cache[string], name string) error {
		return second(tiered.GetOrLoadMany(ctx, c, []string{name}, self, func(_ context.Context, names []string) (map[string]string, error) {
			return map[string]string{names[0]: "v"}, nil
		}))
	},
	"a loader's TTL": func(ctx context.Context, c *tiered.Cache[string], name string) error {
		brief := c.With(func(p *tiered.Policy) { *p = tiered.Policy{} })
		return second(brief.GetOrLoad(ctx, name, func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			e.Policy.TTL, e.Policy.Jitter, e.Tags = math.MaxInt64, -1, []string{"t"}
			return "v", nil
		}))
	},
}

// elapse has Redis keep every key for less by the time.
func elapse(t *testing.T, s *redistest.Server, d time.Duration) {
	t.Helper()
	keys, ok := s.Do("KEYS", "*").([]any)
	if !ok {
		t.Fatal("no keys")
	}
	for _, key := range keys {
		switch left := s.Do("PTTL", key).(int64); {
		case left < 0:
		case left <= d.Milliseconds():
			s.Do("DEL", key)
		default:
			s.Do("PEXPIRE", key, left-d.Milliseconds())
		}
	}
}

// What is kept for ever is there a month later, for every process, and its tag still invalidates it.
func TestForEverInRedis(t *testing.T) {
	t.Parallel()
	for how, fill := range fills {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			for i, d := range forEver {
				p := tiered.Policy{TTL: d, Jitter: -1}
				if i == 1 {
					p.StaleIfError, p.StaleWhileRevalidate = d, d
				}
				open := func() *tiered.Cache[string] {
					return newCache(t, tiered.Options[string]{Name: fmt.Sprint("c", i), Redis: newRedis(t, s, tiered.RedisOptions{}), Policy: p})
				}
				c := open()
				set(t, c.With(func(p *tiered.Policy) { *p = tiered.Policy{} }), "before", "v", "t") // its tag is needed for a shorter time
				if err := fill(t.Context(), c, "k"); err != nil {
					t.Fatal(err)
				}
				for _, later := range []time.Duration{day, 29 * day} {
					elapse(t, s, later)
					gets(t, open(), "k", noLoad[string](t), "v")
				}
				if how == "GetOrLoadMany" {
					continue
				}
				if err := open().InvalidateTags(t.Context(), "t"); err != nil {
					t.Fatal(err)
				}
				if v, err := open().Get(t.Context(), "k"); err != tiered.ErrNotFound {
					t.Errorf("invalidated: %q, %v", v, err)
				}
			}
		})
	}
}

// Redis keeps a tag's record for no shorter a time than any value with it: the policy of a view counts.
func TestTagOutlivesItsValues(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{}, tiered.Policy{TTL: day})
	c.With(func(p *tiered.Policy) { p.StaleIfError = 1000 * day })
	for how, fill := range fills {
		key := strings.ReplaceAll(how, " ", "-")
		if err := fill(t.Context(), c, key); err != nil {
			t.Fatal(err)
		}
		value, tag := s.Do("PTTL", "tc:test:"+key).(int64), int64(0)
		if how != "GetOrLoadMany" {
			if tag = s.Do("PTTL", "tc:test!tag:t").(int64); tag < value-time.Minute.Milliseconds() {
				t.Errorf("%s: Redis keeps the value for %d ms and its tag for %d ms", how, value, tag)
			}
		}
		s.Do("DEL", "tc:test!tag:t") // for the next
		waitFor(t, func() bool { _, err := c.Get(t.Context(), key); return how == "GetOrLoadMany" || err != nil })
	}
}

// An expiry that another program set may be longer than a Duration.
func TestForeignExpiryForEver(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for i, ms := range []int64{math.MaxInt64 / 1_000_000, math.MaxInt64/1_000_000 + 1, 18_446_744_073_710, 18_446_744_073_709, 3e13, 9e15} {
		key := fmt.Sprint(i)
		s.Do("SET", "tc:test:"+key, `"v"`)
		if s.Do("PEXPIRE", "tc:test:"+key, ms) != int64(1) {
			t.Fatal(ms)
		}
		c := newProcess(t, s, tiered.RedisOptions{}, longLived)
		gets(t, c, key, noLoad[string](t), "v")
		keep(t, c, key, "v")
	}
}

// elapsed is how long a cache in a bubble lives before it is asked. Each second of it costs a few microseconds: a day is for
// the longest duration alone.
func elapsed(d time.Duration) time.Duration {
	if d == math.MaxInt64 {
		return day + time.Second
	}
	return time.Hour + time.Second
}

// The local tier of a cache without Redis does the same, on a later clock.
func TestForEverInProcess(t *testing.T) {
	t.Parallel()
	for how, fill := range fills {
		for _, d := range forEver {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{TTL: d, Jitter: -1}})
				if err := fill(t.Context(), c, "k"); err != nil {
					t.Fatal(err)
				}
				later := elapsed(d)
				time.Sleep(later)
				gets(t, c, "k", noLoad[string](t), "v")
				if e, err := c.Lookup(t.Context(), "k"); err != nil || e.Age != later || e.State != tiered.Fresh {
					t.Errorf("%s, %v: %+v, %v", how, d, e, err)
				}
			})
		}
	}
}

// Each other duration of a policy may be as long.
func TestEachDurationForEver(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	for _, d := range forEver {
		for name, p := range map[string]tiered.Policy{
			"StaleIfError":         {StaleIfError: d},
			"StaleWhileRevalidate": {StaleWhileRevalidate: d},
			"both":                 {StaleIfError: d, StaleWhileRevalidate: d, RetryAfter: d, LoadTimeout: d, SoftTimeout: d - 1},
			"NotFoundTTL":          {NotFoundTTL: d, Jitter: -1},
			"RefreshAfter":         {TTL: d, LocalTTL: d, RefreshAfter: d - 1, Jitter: -1},
		} {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tiered.Options[string]{Policy: p})
				absent := func(context.Context, *tiered.Entry[string]) (string, error) { return "", tiered.ErrNotFound }
				fails := func(context.Context, *tiered.Entry[string]) (string, error) { return "", failed }
				if name == "NotFoundTTL" {
					_, _ = c.GetOrLoad(t.Context(), "k", absent)
				} else {
					set(t, c, "k", "v")
				}
				time.Sleep(elapsed(d))
				v, err := c.GetOrLoad(t.Context(), "k", fails)
				if name == "NotFoundTTL" {
					if err != tiered.ErrNotFound {
						t.Errorf("%s %v: %q, %v", name, d, v, err)
					}
				} else if v != "v" || err != nil {
					t.Errorf("%s %v: %q, %v", name, d, v, err)
				}
			})
		}
	}
}

// Timeout and Heartbeat may be as long.
func TestRedisOptionsForEver(t *testing.T) {
	t.Parallel()
	for _, d := range forEver {
		for name, o := range map[string]tiered.RedisOptions{
			"Timeout": {Timeout: d}, "Heartbeat": {Heartbeat: d}, "both": {Timeout: d, Heartbeat: d},
		} {
			for mode, how := range modes {
				t.Run(fmt.Sprint(name, " ", d, " ", mode), func(t *testing.T) {
					t.Parallel()
					s := redistest.Start(t)
					o := o
					o.Invalidation = how
					c, other := newProcess(t, s, o, longLived), newProcess(t, s, o, longLived)
					set(t, c, "k", "v", "t")
					hasTags(t, other, "k", "t")
					gets(t, other, "k", noLoad[string](t), "v")
					if err := other.Delete(t.Context(), "k"); err != nil {
						t.Error(err)
					}
					if how != tiered.None {
						follows(t, c, "k", "")
					}
				})
			}
		}
	}
}
