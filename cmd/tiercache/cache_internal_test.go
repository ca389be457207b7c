package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

type user struct {
	ID   int
	Name string
}

// process is a program that uses a cache.
func process[T any](t *testing.T, client redis.UniversalClient, mode tiered.Invalidation, o tiered.Options[T]) *tiered.Cache[T] {
	t.Helper()
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: mode})
	if err != nil {
		t.Fatal(err)
	}
	o.Name, o.Redis = "users", r
	o.Policy.StaleIfError, o.Policy.NotFoundTTL, o.Policy.Jitter = time.Hour, time.Minute, -1
	c, err := tiered.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), r.Close() })
	return c
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// get shows a value with its metadata, whatever codec it has, and says why it isn't fresh.
func TestGet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, url := server.Client(t), "redis://"+server.Addr()
	ctx := t.Context()
	c := process(t, client, tiered.Tracking, tiered.Options[user]{})
	old := process(t, client, tiered.Tracking, tiered.Options[user]{Codec: codec.Zstd(codec.Msgpack, 1), Version: "old"})
	_, loaded := c.GetOrLoad(ctx, "42", func(_ context.Context, e *tiered.Entry[user]) (user, error) {
		e.Tags = []string{"team:7", "admins"}
		return user{42, "Ada"}, nil
	})
	_, absent := c.GetOrLoad(ctx, "none", func(context.Context, *tiered.Entry[user]) (user, error) { return user{}, tiered.ErrNotFound })
	must(t, loaded, c.Set(ctx, "expired", user{1, "Grace"}), c.Expire(ctx, "expired"), c.Set(ctx, "invalid", user{2, "Edsger"}, "team:8"),
		c.InvalidateTags(ctx, "team:8"), client.Set(ctx, "tc:users:foreign", `{"ID":3}`, 0).Err(), client.Set(ctx, "tc:users:damaged", "\xc1tc", 0).Err(), old.Set(ctx, "old", user{4, "Barbara"}))
	if !errors.Is(absent, tiered.ErrNotFound) {
		t.Fatal(absent)
	}
	for _, key := range []string{"42", "none", "expired", "invalid", "foreign", "damaged", "old"} {
		got := runCommand(t, "", "get", "-redis", url, "users", key)
		if got.code != exitOK || got.err != "" {
			t.Errorf("%s: %+v", key, got)
		}
		wantGolden(t, "get/"+key, got.out)
	}
	var e entry
	if got := runCommand(t, "", "get", "-json", "-redis", url, "users", "42"); json.Unmarshal([]byte(got.out), &e) != nil || len(e.Frames) != 1 ||
		e.Frames[0].State != "fresh" || strings.Join(e.Frames[0].Tags, " ") != "admins team:7" || e.TTL == nil || *e.TTL <= time.Hour.Milliseconds() {
		t.Errorf("%+v", got)
	}
	for key, want := range map[string]result{
		"42":      {exitOK, "{\"ID\":42,\"Name\":\"Ada\"}\n", ""},
		"old":     {exitOK, "{\"ID\":4,\"Name\":\"Barbara\"}\n", ""},
		"foreign": {exitOK, "{\"ID\":3}\n", ""},
		"none":    {exitNotFound, "", "tiercache get: Redis has no value under tc:users:none\n"},
		"nothing": {exitNotFound, "", "tiercache get: Redis has nothing under tc:users:nothing\n"},
	} {
		if got := runCommand(t, "", "get", "users", key, "-value", "-redis", url); got != want {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
}

// get shows the lease of a load, with and without an old value.
func TestGetDuringALoad(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := process(t, server.Client(t), tiered.Tracking, tiered.Options[user]{})
	load := func(name string) func(context.Context, *tiered.Entry[user]) (user, error) {
		return func(context.Context, *tiered.Entry[user]) (user, error) {
			wantGolden(t, "get/"+name, runCommand(t, "", "get", "-redis", "redis://"+server.Addr(), "users", "42").out)
			return user{42, "Ada"}, nil
		}
	}
	_, loaded := c.GetOrLoad(t.Context(), "42", load("first-load"))
	must(t, loaded, c.Expire(t.Context(), "42"))
	_, reloaded := c.GetOrLoad(t.Context(), "42", load("second-load"))
	must(t, reloaded)
}

// ls lists all keys with a prefix, in pages, of a server and of a Cluster.
func TestLs(t *testing.T) {
	t.Parallel()
	single, cluster := redistest.Start(t), redistest.StartCluster(t)
	for _, s := range []struct {
		client redis.UniversalClient
		addr   string
	}{{single.Client(t), single.Addr()}, {cluster.Client(t), cluster.Addrs()[0]}} {
		url := "redis://" + s.addr
		c := process(t, s.client, tiered.Tracking, tiered.Options[user]{})
		want := make(map[string]bool)
		for i := range 3000 {
			want[fmt.Sprintf("a*%d", i)] = true
		}
		values := map[string]user{"b1": {}, "ab": {}}
		for key := range want {
			values[key] = user{}
		}
		must(t, c.SetMany(t.Context(), values, "tag 1", "tag 2"), s.client.Set(t.Context(), "tc:others:1", "", 0).Err(), s.client.Set(t.Context(), "session:1", "", 0).Err())

		got, pages := make(map[string]bool), 1
		for cursor := ""; ; pages++ {
			page := runCommand(t, "", "ls", "-redis", url, "-n", "500", "-cursor", cursor, "users", "a*")
			if page.code != exitOK {
				t.Fatalf("%+v", page)
			}
			for line := range strings.Lines(page.out) {
				got[strings.TrimSpace(line)] = true
			}
			next, found := strings.CutPrefix(page.err, "more: -cursor ")
			if cursor = strings.TrimSpace(next); !found {
				break
			}
		}
		if !maps.Equal(got, want) || pages < 3 {
			t.Errorf("%s: %d keys on %d pages, want %d on 3 or more", s.addr, len(got), pages, len(want))
		}
		if got := runCommand(t, "", "ls", "-redis", url); got.out != "others\nusers\n" && got.out != "users\nothers\n" {
			t.Errorf("the caches: %+v", got)
		}
		tags := strings.Split(strings.TrimSpace(runCommand(t, "", "ls", "-tags", "-redis", url, "users").out), "\n")
		if slices.Sort(tags); strings.Join(tags, ",") != "tag 1,tag 2" {
			t.Errorf("the tags: %q", tags)
		}
		var one item
		if got := runCommand(t, "", "ls", "-l", "-json", "-redis", url, "users", "b"); json.Unmarshal([]byte(got.out), &one) != nil ||
			one.Name != "b1" || *one.TTL <= time.Hour.Milliseconds() || *one.Bytes == 0 {
			t.Errorf("%+v", got)
		}
	}
}

// What ls prints are arguments for the other commands, whatever characters it has.
func TestQuotedKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://" + server.Addr()
	c := process(t, server.Client(t), tiered.Tracking, tiered.Options[user]{})
	for _, key := range []string{"a:1 b", "zero\x00byte", "two\nlines", `"quoted"`, `back\slash`, "\xff", "Zürich"} {
		must(t, c.Set(t.Context(), key, user{}))
		printed := strings.TrimSuffix(runCommand(t, "", "ls", "-redis", url, "users").out, "\n")
		if got := runCommand(t, "", "get", "-value", "-redis", url, "users", printed); got.code != exitOK || strings.ContainsAny(printed, "\x00\n") {
			t.Errorf("%q is printed as %s: %+v", key, printed, got)
		}
		if got := runCommand(t, "", "purge", "-yes", "-redis", url, "users", printed); got.code != exitOK {
			t.Errorf("%+v", got)
		}
		if left := runCommand(t, "", "ls", "-redis", url, "users").out; left != "" {
			t.Errorf("%q is still there: %s", key, left)
		}
	}
}

// Each purge changes what processes have in memory, whichever their mode of invalidation.
func TestPurge(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://" + server.Addr()
	for name, c := range map[string]struct {
		args []string
		want map[string]bool // is 1 still served, is 2
	}{
		"key":        {[]string{"users", "1"}, map[string]bool{"1": false, "2": true}},
		"keys":       {[]string{"users", "1", "2"}, map[string]bool{"1": false, "2": false}},
		"tag":        {[]string{"-tag", "users", "two"}, map[string]bool{"1": true, "2": false}},
		"all":        {[]string{"-all", "users"}, map[string]bool{"1": false, "2": false}},
		"expire":     {[]string{"-expire", "users", "1"}, map[string]bool{"1": false, "2": true}},
		"expire tag": {[]string{"-expire", "-tag", "users", "two"}, map[string]bool{"1": true, "2": false}},
		"expire all": {[]string{"-expire", "-all", "users"}, map[string]bool{"1": false, "2": false}},
	} {
		t.Run(name, func(t *testing.T) {
			processes := []*tiered.Cache[user]{
				process(t, server.Client(t), tiered.Tracking, tiered.Options[user]{}),
				process(t, server.Client(t), tiered.PubSub, tiered.Options[user]{}),
			}
			ctx := t.Context()
			must(t, processes[1].Set(ctx, "1", user{ID: 1}, "one"), processes[1].Set(ctx, "2", user{ID: 2}, "two"))
			fresh := func(p *tiered.Cache[user], key string) bool {
				e, err := p.Lookup(ctx, key)
				return err == nil && e.State == tiered.Fresh
			}
			for _, p := range processes {
				for key := range c.want {
					if !fresh(p, key) {
						t.Fatalf("there is no %s", key)
					}
				}
			}
			got := runCommand(t, "y\n", append([]string{"purge", "-redis", url}, c.args...)...)
			if got.code != exitOK || got.out != "done\n" || !strings.HasSuffix(got.err, "? [y/N] ") {
				t.Errorf("%+v", got)
			}
			for i, p := range processes {
				for key, want := range c.want {
					observe.Until(t, fmt.Sprintf("process %d notices that %s is gone", i, key), func() bool { return fresh(p, key) == want })
				}
			}
		})
	}
}

// Without a confirmation nothing is done, and what can't be done is an error.
func TestPurgeRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, url := server.Client(t), "redis://"+server.Addr()
	c := process(t, client, tiered.Tracking, tiered.Options[user]{})
	must(t, c.Set(t.Context(), "1", user{}))
	for _, answer := range []string{"", "n\n", "\n", "yesterday\n"} {
		if got := runCommand(t, answer, "purge", "-redis", url, "users", "1"); got.code != exitFailed || !strings.Contains(got.err, "not confirmed") {
			t.Errorf("%q: %+v", answer, got)
		}
	}
	if n := client.Exists(t.Context(), "tc:users:1").Val(); n != 1 {
		t.Error("the key is gone")
	}
	server.UserClient(t, "reader", "~tc:*", "+get")
	reader := "redis://reader:secret@" + server.Addr()
	if got := runCommand(t, "", "purge", "-yes", "-redis", reader, "users", "1"); got.code != exitFailed || !strings.Contains(got.err, "NOPERM") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, "", "purge", "-yes", "-all", "-redis", url, "user"); got.code != exitNotFound || !strings.Contains(got.err, "no cache user") {
		t.Errorf("%+v", got)
	}
	server.Kill()
	if got := runCommand(t, "", "purge", "-yes", "-redis", url, "users", "1"); got.code != exitFailed || !strings.Contains(got.err, "connection refused") {
		t.Errorf("%+v", got)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"", "none", "help none", "doctor x", "doctor -timeout 0", "get users", "get -redis x:// users 1", "ls a b c", "ls -n 0", "purge", "purge users",
		"purge -all users 1", "purge -all -tag users", "get -none users 1", "ls -cursor x users -redis nonsense://",
		"tail a b", "tail -for -1s", "stats users", "stats -limit 0",
	} {
		if got := runCommand(t, "", strings.Fields(args)...); got.code != exitUsage || got.err == "" || got.out != "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
	for _, args := range []string{"help", "-h", "help doctor", "help get", "help ls", "help purge", "help tail", "help stats"} {
		got := runCommand(t, "", strings.Fields(args)...)
		if got.code != exitOK || got.err != "" {
			t.Errorf("%q: %+v", args, got)
		}
		if _, name, found := strings.Cut(args, "help "); found && !strings.HasPrefix(got.out, "tiercache "+name+" [flags]") {
			t.Errorf("%q: %s", args, got.out)
		}
	}
}
