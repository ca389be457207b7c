package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// following is a tail that runs.
type following struct {
	t        *testing.T
	out, err *bufio.Scanner
	end      func() int
}

// follow starts tail with the arguments, and returns when it listens.
func follow(t *testing.T, args ...string) *following {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, outWriter := io.Pipe()
	errs, errWriter := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"tail"}, args...), streams{strings.NewReader(""), outWriter, errWriter})
		_, _ = outWriter.Close(), errWriter.Close()
	}()
	f := &following{t: t, out: bufio.NewScanner(out), err: bufio.NewScanner(errs)}
	f.end = func() int {
		stop()
		_, _ = out.Close(), errs.Close()
		return <-code
	}
	t.Cleanup(stop)
	f.expect(f.err, "listening")
	return f
}

var clock = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3} +`)

// expect reads lines until one has the words, whatever the time and the space between them.
func (f *following) expect(from *bufio.Scanner, want string) {
	f.t.Helper()
	for from.Scan() {
		if got := strings.Join(strings.Fields(clock.ReplaceAllString(from.Text(), "")), " "); strings.HasPrefix(got, want) {
			return
		}
	}
	f.t.Fatalf("no line %q: %v", want, from.Err())
}

// tail shows the changes of values, tags and caches, whoever makes them, and the loss of its connection.
func TestTail(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	client := server.Client(t)
	c := process(t, client, tiered.Tracking, tiered.Options[user]{})
	f := follow(t, "-redis", "redis://"+proxy.Addr(), "users")
	ctx := t.Context()
	must(t, client.Set(ctx, "tc:others:1", "", 0).Err(), c.Set(ctx, "42", user{}, "team:7"))
	f.expect(f.out, "users tag team:7")
	f.expect(f.out, "users value 42")
	must(t, c.Delete(ctx, "43"), client.Set(ctx, "tc:users:44", "{}", 0).Err())
	f.expect(f.out, "users value 44")
	must(t, c.InvalidateTags(ctx, "team:7"))
	f.expect(f.out, "users tag team:7")
	must(t, c.Clear(ctx))
	f.expect(f.out, "users epoch")
	must(t, client.FlushDB(ctx).Err())
	f.expect(f.out, "flush")
	proxy.Cut()
	f.expect(f.err, "the connection is lost")
	f.expect(f.err, "connected again")
	must(t, client.Set(ctx, "tc:users:45", "{}", 0).Err())
	f.expect(f.out, "users value 45")
	if code := f.end(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// In a Cluster tail hears of all masters.
func TestTailCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	c := process(t, cluster.Client(t), tiered.Tracking, tiered.Options[user]{})
	f := follow(t, "-redis", "redis://"+cluster.Addrs()[0], "-json")
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} { // in slots of all three
		must(t, c.Set(t.Context(), key, user{}))
		for {
			var got change
			if !f.out.Scan() || json.Unmarshal(f.out.Bytes(), &got) != nil {
				t.Fatalf("%s isn't shown: %q, %v", key, f.out.Text(), f.out.Err())
			}
			if got.Cache == "users" && got.Kind == "value" && got.Name == key {
				break
			}
		}
	}
	f.end()
}

// With -messages tail shows what processes with PubSub publish.
func TestTailMessages(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	c := process(t, client, tiered.PubSub, tiered.Options[user]{})
	f := follow(t, "-redis", "redis://"+server.Addr(), "-messages")
	must(t, client.Publish(t.Context(), "tc!changes", "hello").Err())
	f.expect(f.err, `a message that isn't from tiercache: "hello"`)
	must(t, c.Delete(t.Context(), "42"))
	f.expect(f.out, "users value 42")
	f.end()
}

// stats counts what each cache has.
func TestStats(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, url := server.Client(t), "redis://"+server.Addr()
	ctx := t.Context()
	c := process(t, client, tiered.Tracking, tiered.Options[user]{})
	values := make(map[string]user)
	for i := range 300 { // more than are measured
		values[strconv.Itoa(i)] = user{}
	}
	must(t, c.SetMany(ctx, values, "1", "2"), c.InvalidateTags(ctx, "1"), client.Set(ctx, "tc:others:1", "hello", 0).Err(),
		client.Set(ctx, "session:1", "", 0).Err())
	var got counts
	r := runCommand(t, "", "stats", "-json", "-redis", url)
	must(t, json.Unmarshal([]byte(r.out), &got))
	users, others := got.Caches["users"], got.Caches["others"]
	if users == nil || users.Values != len(values) || users.Tags != 2 || users.Invalidations != 1 || users.Bytes < int64(40*len(values)) ||
		others == nil || others.Values != 1 || others.Bytes != 5 || len(got.Caches) != 2 || !got.Complete || len(got.Servers) != 1 {
		t.Errorf("%+v %+v %+v", got, users, others)
	}
	if r := runCommand(t, "", "stats", "-redis", url); r.code != exitOK || !regexp.MustCompile(`(?m)^others +1 +5 +0 +0 +0$`).MatchString(r.out) {
		t.Errorf("%+v", r)
	}
	few := userURL(t, []string{"~tc:*", "+scan", "+get", "+strlen"})
	if r := runCommand(t, "", "stats", "-redis", few); r.code != exitOK || strings.Contains(r.out, "memory") {
		t.Errorf("without +info: %+v", r)
	}
}
