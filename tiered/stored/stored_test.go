package stored_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/stored"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a cache of a process of its own.
func open(t *testing.T, client *redis.Client) *tiered.Cache[string] {
	t.Helper()
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Timeout: 10 * time.Second}) // a machine may be busy
	if err != nil {
		t.Fatal(err)
	}
	c, err := tiered.New(tiered.Options[string]{Name: "users", Redis: r, Policy: tiered.Policy{StaleIfError: time.Hour, NotFoundTTL: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), r.Close() })
	return c
}

// look reads a key as a tool does.
func look(t *testing.T, client *redis.Client, key string) (v stored.Value, states []stored.State, why string) {
	t.Helper()
	keys := stored.NewKeys("tc:", "users")
	ctx := t.Context()
	v = stored.Parse([]byte(client.Get(ctx, keys.Value(key)).Val()))
	for _, f := range v.Frames {
		in := stored.Invalidations{Epoch: client.Get(ctx, keys.Epoch()).Val(), Count: client.Get(ctx, keys.Count()).Val()}
		for _, tag := range f.Tags {
			in.Tags = append(in.Tags, client.Get(ctx, keys.Tag(tag)).Val())
		}
		var s stored.State
		s, why = f.State(client.Time(ctx).Val(), in)
		states = append(states, s)
	}
	return v, states, why
}

// State says of each value what a process that hasn't read it before does with it.
func TestState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(ctx context.Context, c *tiered.Cache[string], client *redis.Client) error
		want   stored.State
		why    string
	}{
		"fresh":  {func(context.Context, *tiered.Cache[string], *redis.Client) error { return nil }, stored.Fresh, ""},
		"Expire": {func(ctx context.Context, c *tiered.Cache[string], _ *redis.Client) error { return c.Expire(ctx, "k") }, stored.Stale, "(Expire)"},
		"ExpireTags": {func(ctx context.Context, c *tiered.Cache[string], _ *redis.Client) error {
			return c.ExpireTags(ctx, "b")
		}, stored.Stale, `"b" was expired`},
		"ExpireAll": {func(ctx context.Context, c *tiered.Cache[string], _ *redis.Client) error { return c.ExpireAll(ctx) }, stored.Stale, "everything"},
		"InvalidateTags": {func(ctx context.Context, c *tiered.Cache[string], _ *redis.Client) error {
			return c.InvalidateTags(ctx, "b")
		}, stored.Invalid, `"b" was invalidated`},
		"other tag": {func(ctx context.Context, c *tiered.Cache[string], _ *redis.Client) error {
			return c.InvalidateTags(ctx, "c")
		}, stored.Fresh, ""},
		"Clear":     {func(ctx context.Context, c *tiered.Cache[string], _ *redis.Client) error { return c.Clear(ctx) }, stored.Invalid, "cleared"},
		"no record": {remove("tc:users!tag:a"), stored.Invalid, `no record of its tag "a"`},
		"no epoch":  {remove("tc:users!era{users}"), stored.Invalid, "lost the cache's epoch"},
		"no count":  {remove("tc:users!count{users}"), stored.Invalid, "lost the cache's epoch"},
		"expired, then ...": {func(ctx context.Context, c *tiered.Cache[string], _ *redis.Client) error {
			return errors.Join(c.ExpireAll(ctx), c.InvalidateTags(ctx, "a"))
		}, stored.Invalid, `"a" was invalidated`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := redistest.Start(t).Client(t)
			writer := open(t, client)
			if err := writer.Set(t.Context(), "k", "v", "a", "b"); err != nil {
				t.Fatal(err)
			}
			if err := c.change(t.Context(), writer, client); err != nil {
				t.Fatal(err)
			}
			v, states, why := look(t, client, "k")
			if len(states) != 1 || states[0] != c.want || !strings.Contains(why, c.why) || (why == "") != (c.want == stored.Fresh) {
				t.Fatalf("%v %q, want %v %q: %+v", states, why, c.want, c.why, v)
			}
			if f := v.Frames[0]; f.Codec != "json" || string(f.Payload) != `"v"` || strings.Join(f.Tags, " ") != "a b" || f.FreshFor > time.Minute || f.FreshFor < 50*time.Second {
				t.Errorf("%+v", f)
			}
			e, err := open(t, client).Lookup(t.Context(), "k")
			if served := map[bool]stored.State{true: stored.Stale, false: stored.Fresh}[e.State == tiered.Stale]; err == nil && served != c.want || err != nil && c.want != stored.Invalid {
				t.Errorf("another process gets %+v, %v", e, err)
			}
		})
	}
}

func remove(key string) func(context.Context, *tiered.Cache[string], *redis.Client) error {
	return func(ctx context.Context, _ *tiered.Cache[string], client *redis.Client) error {
		return client.Del(ctx, key).Err()
	}
}

// Leases, remembered absences, and what isn't ours.
func TestParse(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	c := open(t, client)
	_, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) {
		if v, _, _ := look(t, client, "k"); v.Lease == nil || v.Lease.Extended != 0 {
			t.Errorf("during a load: %+v", v)
		}
		return "", tiered.ErrNotFound
	})
	if v, states, why := look(t, client, "k"); !errors.Is(err, tiered.ErrNotFound) || len(v.Frames) != 1 || !v.Frames[0].Absent || states[0] != stored.Fresh {
		t.Errorf("%v: %+v %v %q", err, v, states, why)
	}
	if err := client.Set(t.Context(), "tc:users:foreign", `{"a":1}`, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if v, _, _ := look(t, client, "foreign"); string(v.Foreign) != `{"a":1}` {
		t.Errorf("%+v", v)
	}
	for _, damaged := range []string{"\xc1tc", "\xc1tc\x01 and so on, which is no header", "\xc1tl", "\xc1tl\x01 too short"} {
		if v := stored.Parse([]byte(damaged)); !v.Damaged {
			t.Errorf("%q: %+v", damaged, v)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	k := stored.NewKeys("tc:", "users")
	for key, want := range map[string]stored.Key{
		k.Value("a:b!c"): {"users", stored.ValueKey, "a:b!c"},
		k.Lease("42"):    {"users", stored.LeaseKey, "42"},
		k.Tag("admins"):  {"users", stored.TagKey, "admins"},
		k.Epoch():        {"users", stored.EpochKey, ""},
		k.Count():        {"users", stored.CountKey, ""},
		"tc:users!new":   {"users", stored.Other, ""},
		"tc!canary":      {},
		"session:1":      {},
	} {
		if got := stored.ParseKey("tc:", key); got != want {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("\xc1tc\x01"))
	f.Add([]byte("\xc1tl\x01"))
	f.Add([]byte("plain"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := stored.Parse(b)
		n := 0
		for _, set := range []bool{len(v.Frames) > 0, v.Lease != nil, v.Foreign != nil, v.Damaged} {
			if set {
				n++
			}
		}
		if n != 1 && len(b) > 0 {
			t.Errorf("%d fields of %+v are set", n, v)
		}
		for i := range v.Frames {
			v.Frames[i].State(time.Now(), stored.Invalidations{Epoch: "12345678", Count: "1", Tags: []string{"", "", ""}})
		}
	})
}
