package tiered_test

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

func TestWrongOptions(t *testing.T) {
	for _, test := range []struct {
		o    tiered.Options[int]
		want string // in the error: the field, and the value
	}{
		{tiered.Options[int]{}, `Options.Name is ""`},
		{tiered.Options[int]{Name: "a:b"}, `Options.Name is "a:b"`},
		{tiered.Options[int]{Name: "a b"}, `Options.Name is "a b"`},
		{tiered.Options[int]{Name: "é"}, `Options.Name is "é"`},
		{tiered.Options[int]{Name: strings.Repeat("n", 129)}, "want 1 to 128"},
		{tiered.Options[int]{Name: "n", MaxCost: -1}, "Options.MaxCost is -1"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{TTL: -time.Second}}, "Policy.TTL is -1s"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{LocalTTL: -1}}, "Policy.LocalTTL is -1ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{NotFoundTTL: -1}}, "Policy.NotFoundTTL is -1ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{LoadTimeout: -1}}, "Policy.LoadTimeout is -1ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{Jitter: 1}}, "Policy.Jitter is 1"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{Jitter: math.NaN()}}, "Policy.Jitter is NaN"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{Jitter: math.Inf(1)}}, "Policy.Jitter is +Inf"},
		{tiered.Options[int]{Name: "n", Cost: func(int) int64 { return 8 }}, "Options.MaxCost is 0, and there is a Cost"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{TTL: 300}}, "Policy.TTL is 300ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{TTL: 300}}, "300 seconds are 300*time.Second"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{TTL: time.Millisecond - 1}}, "Policy.TTL is 999.999µs"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{LocalTTL: 1}}, "Policy.LocalTTL is 1ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{NotFoundTTL: 5}}, "Policy.NotFoundTTL is 5ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{RefreshAfter: 30}}, "Policy.RefreshAfter is 30ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{StaleWhileRevalidate: 60}}, "Policy.StaleWhileRevalidate is 60ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{StaleIfError: 3600}}, "Policy.StaleIfError is 3.6µs"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{RetryAfter: 2}}, "Policy.RetryAfter is 2ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{SoftTimeout: 1}}, "Policy.SoftTimeout is 1ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{LoadTimeout: 10}}, "Policy.LoadTimeout is 10ns"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{LocalTTL: time.Hour}}, "Policy.LocalTTL is 1h0m0s and TTL is 1m0s"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{RefreshAfter: time.Minute}}, "Policy.RefreshAfter is 1m0s and TTL is 1m0s"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{TTL: time.Second, RefreshAfter: time.Minute}}, "Policy.RefreshAfter is 1m0s and TTL is 1s"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{SoftTimeout: time.Second}}, "Policy.SoftTimeout is 1s, and StaleIfError and StaleWhileRevalidate are 0"},
		{tiered.Options[int]{Name: "n", Policy: tiered.Policy{SoftTimeout: time.Minute, StaleIfError: time.Hour}}, "Policy.SoftTimeout is 1m0s and LoadTimeout is 30s"},
	} {
		c, err := tiered.New(test.o)
		if err == nil {
			c.Close()
			t.Errorf("%+v is accepted", test.o)
		} else if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "want") || !strings.HasPrefix(err.Error(), "tiered: ") {
			t.Errorf("got %q, want %q in it and what is accepted", err, test.want)
		}
	}
}

func TestWrongRedisOptions(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	for _, test := range []struct {
		o    tiered.RedisOptions
		want string
	}{
		{tiered.RedisOptions{Prefix: "tc"}, `RedisOptions.Prefix is "tc"`},
		{tiered.RedisOptions{Prefix: ":"}, `RedisOptions.Prefix is ":"`},
		{tiered.RedisOptions{Prefix: "a:b:"}, `RedisOptions.Prefix is "a:b:"`},
		{tiered.RedisOptions{Timeout: -1}, "RedisOptions.Timeout is -1ns"},
		{tiered.RedisOptions{Timeout: 250}, "RedisOptions.Timeout is 250ns"},
		{tiered.RedisOptions{Heartbeat: -1}, "RedisOptions.Heartbeat is -1ns"},
		{tiered.RedisOptions{Heartbeat: 1}, "RedisOptions.Heartbeat is 1ns: want 0 (1s) or at least 1ms; a plain number counts nanoseconds: 1 seconds are 1*time.Second"},
	} {
		if _, err := tiered.NewRedis(client, test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v", test.o, err)
		}
	}
	for _, o := range []redis.ClusterOptions{{ReadOnly: true}, {RouteByLatency: true}, {RouteRandomly: true}} {
		o.Addrs = []string{"127.0.0.1:1"}
		replicas := redis.NewClusterClient(&o)
		defer replicas.Close()
		if _, err := tiered.NewRedis(replicas, tiered.RedisOptions{}); err == nil || !strings.Contains(err.Error(), "replicas") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	for _, none := range []redis.UniversalClient{nil, (*redis.Client)(nil), (*redis.ClusterClient)(nil)} {
		if _, err := tiered.NewRedis(none, tiered.RedisOptions{}); err == nil {
			t.Errorf("%T nil is accepted", none)
		}
	}
}

func TestOneNameOneType(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	r, err := tiered.NewRedis(client, tiered.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := newCache(t, tiered.Options[int]{Name: "n", Redis: r})
	second := newCache(t, tiered.Options[int]{Name: "n", Redis: r})
	if _, err := tiered.New(tiered.Options[string]{Name: "n", Redis: r}); err == nil || !strings.Contains(err.Error(), "int") || !strings.Contains(err.Error(), "string") {
		t.Errorf("another type: %v", err)
	}
	if _, err := tiered.New(tiered.Options[int]{Name: "n", Redis: r, Codec: codec.Msgpack}); err == nil || !strings.Contains(err.Error(), "msgpack") {
		t.Errorf("another codec: %v", err)
	}
	first.Close()
	first.Close()
	if _, err := tiered.New(tiered.Options[string]{Name: "n", Redis: r}); err == nil {
		t.Error("another type while one cache of the name is still open")
	}
	second.Close()
	newCache(t, tiered.Options[string]{Name: "n", Redis: r})
}

func TestWrongCalls(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", DialerRetries: 1, MaxRetries: -1})
	defer client.Close()
	r, err := tiered.NewRedis(client, tiered.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := newCache(t, tiered.Options[int]{Redis: r})
	ctx := t.Context()
	many := func(key func(string) string, load func(context.Context, []string) (map[string]int, error), ids ...string) error {
		_, err := tiered.GetOrLoadMany(ctx, c, ids, key, load)
		return err
	}
	same := func(s string) string { return s }
	none := func(context.Context, []string) (map[string]int, error) { return nil, nil }
	huge := strings.Repeat("k", 512<<20-len("tc:test:")+1)
	for name, err := range map[string]error{
		"GetOrLoad without a loader":       second(c.GetOrLoad(ctx, "k", nil)),
		"Refresh without a loader":         second(c.Refresh(ctx, "k", nil)),
		"GetOrLoadMany without a loader":   many(same, nil, "k"),
		"GetOrLoadMany without a key":      many(nil, none, "k"),
		"GetOrLoad of an empty key":        second(c.GetOrLoad(ctx, "", value(1))),
		"Get of an empty key":              second(c.Get(ctx, "")),
		"Lookup of an empty key":           second(c.Lookup(ctx, "")),
		"GetMany of an empty key":          second(c.GetMany(ctx, "k", "")),
		"Set of an empty key":              c.Set(ctx, "", 1),
		"SetMany of an empty key":          c.SetMany(ctx, map[string]int{"": 1}),
		"Delete of an empty key":           c.Delete(ctx, "k", ""),
		"GetOrLoadMany of an empty key":    many(same, none, "k", ""),
		"Set of a key that is too long":    c.Set(ctx, huge, 1),
		"Get of a key that is too long":    second(c.Get(ctx, huge)),
		"Delete of a key that is too long": c.Delete(ctx, huge),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "tiered: ") || strings.Contains(err.Error(), "redis") || len(err.Error()) > 200 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := c.Stats(); s.RedisErrors+s.Loads != 0 {
		t.Errorf("stats %+v", s)
	}
}

func second[T any](_ T, err error) error { return err }

func TestWith(t *testing.T) {
	c := newCache(t, tiered.Options[int]{Policy: tiered.Policy{TTL: time.Hour, LocalTTL: time.Minute}})
	short := c.With(func(p *tiered.Policy) { p.TTL, p.LocalTTL = time.Second, time.Second })
	_, err := short.GetOrLoad(t.Context(), "k", func(_ context.Context, e *tiered.Entry[int]) (int, error) {
		if want := (tiered.Policy{TTL: time.Second, LocalTTL: time.Second, RetryAfter: time.Second, LoadTimeout: 30 * time.Second, Jitter: 0.05}); e.Policy != want {
			t.Errorf("got %+v, want %+v", e.Policy, want)
		}
		return 1, nil
	})
	if err != nil {
		t.Error(err)
	}
	if v, err := c.Get(t.Context(), "k"); v != 1 || err != nil {
		t.Errorf("the other view: %d, %v", v, err)
	}
	wrong := c.With(func(p *tiered.Policy) { p.TTL = -1 })
	ctx := t.Context()
	_, many := tiered.GetOrLoadMany(ctx, wrong, []string{"k"}, func(s string) string { return s }, nil)
	for i, err := range []error{
		second(wrong.Get(ctx, "k")), second(wrong.Lookup(ctx, "k")), second(wrong.GetOrLoad(ctx, "k", value(1))),
		second(wrong.Refresh(ctx, "k", value(1))), second(wrong.GetMany(ctx, "k")), many,
		wrong.Set(ctx, "k", 1), wrong.SetMany(ctx, nil), wrong.Delete(ctx),
	} {
		if err == nil || !strings.Contains(err.Error(), "Policy.TTL is -1ns") {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// A view is held to the same rules as the cache: what it leaves as it is counts.
func TestInconsistentView(t *testing.T) {
	c := newCache(t, tiered.Options[int]{Policy: tiered.Policy{
		TTL: time.Hour, LocalTTL: time.Minute, RefreshAfter: time.Minute, StaleIfError: time.Hour, SoftTimeout: time.Second,
	}})
	for want, edit := range map[string]func(p *tiered.Policy){
		"Policy.LocalTTL is 1m0s and TTL is 30s":       func(p *tiered.Policy) { p.TTL, p.RefreshAfter = 30*time.Second, 0 },
		"Policy.RefreshAfter is 1m0s and TTL is 30s":   func(p *tiered.Policy) { p.TTL, p.LocalTTL = 30*time.Second, 0 },
		"Policy.RefreshAfter is 1m0s and TTL is 1m0s":  func(p *tiered.Policy) { p.TTL = 0 },
		"Policy.SoftTimeout is 1s, and StaleIfError":   func(p *tiered.Policy) { p.StaleIfError = 0 },
		"Policy.SoftTimeout is 1s and LoadTimeout is":  func(p *tiered.Policy) { p.LoadTimeout = 100 * time.Millisecond },
		"Policy.TTL is 300ns: want 0 (1 minute) or at": func(p *tiered.Policy) { p.TTL = 300 },
	} {
		if _, err := c.With(edit).Get(t.Context(), "k"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := c.With(func(p *tiered.Policy) { p.StaleIfError, p.StaleWhileRevalidate = 0, time.Second }).Get(t.Context(), "k"); err != tiered.ErrNotFound {
		t.Error(err)
	}
}

// A loader may leave anything in its policy: that never fails a load. A TTL that is too short to be meant isn't used, and the
// log says so, once in a while.
func TestPolicyOfALoader(t *testing.T) {
	edits := map[string]func(p *tiered.Policy){
		"not stored: 300 nanoseconds": func(p *tiered.Policy) { p.TTL = 300 },
		"not stored: almost over":     func(p *tiered.Policy) { p.TTL = time.Millisecond - 1 },
		"not stored: over":            func(p *tiered.Policy) { p.TTL = -time.Hour },
		"not stored: MinInt64":        func(p *tiered.Policy) { p.TTL = math.MinInt64 },
		"negative": func(p *tiered.Policy) {
			p.LocalTTL, p.RefreshAfter, p.StaleWhileRevalidate, p.StaleIfError, p.RetryAfter, p.SoftTimeout, p.LoadTimeout = -1, -1, -1, -1, -1, -1, -1
		},
		"short": func(p *tiered.Policy) {
			p.StaleWhileRevalidate, p.StaleIfError, p.RetryAfter, p.SoftTimeout, p.LoadTimeout = 1, 1, 1, 1, 1
		},
		"a LocalTTL and RefreshAfter of more than TTL": func(p *tiered.Policy) { p.TTL, p.LocalTTL, p.RefreshAfter = time.Hour, 2*time.Hour, 3*time.Hour },
		"a Jitter that is no number":                   func(p *tiered.Policy) { p.Jitter = math.NaN() },
		"a negative, infinite Jitter":                  func(p *tiered.Policy) { p.Jitter = math.Inf(-1) },
	}
	places(t, func(t *testing.T, c *tiered.Cache[string]) {
		for name, edit := range edits {
			gets(t, c, name, func(_ context.Context, e *tiered.Entry[string]) (string, error) {
				edit(&e.Policy)
				return "v", nil
			}, "v")
			_, err := c.Get(t.Context(), name)
			if not := strings.HasPrefix(name, "not stored"); not != (err == tiered.ErrNotFound) || !not && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestLogOfATooShortTTL(t *testing.T) {
	var log strings.Builder
	c := newCache(t, tiered.Options[string]{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 5 {
		gets(t, c, "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			e.Policy.TTL = 300
			return "v", nil
		}, "v")
		gets(t, c, "over", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			e.Policy.TTL = 0
			return "v", nil
		}, "v")
	}
	if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "key=k cause=\"its TTL is 300ns: want at least 1ms\"") {
		t.Errorf("the log says %q", s)
	}
}

func TestClone(t *testing.T) {
	c := newCache(t, tiered.Options[[]int]{Clone: func(s []int) []int { return append([]int(nil), s...) }})
	mine := []int{1, 2}
	if err := c.Set(t.Context(), "set", mine); err != nil {
		t.Fatal(err)
	}
	mine[0] = 9
	loaded, err := c.GetOrLoad(t.Context(), "loaded", value([]int{1, 2}))
	if err != nil {
		t.Fatal(err)
	}
	loaded[0] = 9
	for _, key := range []string{"set", "loaded"} {
		for range 2 {
			got, err := c.Get(t.Context(), key)
			if err != nil || got[0] != 1 {
				t.Errorf("%s: %v, %v", key, got, err)
			}
			got[0] = 9
		}
	}
}
