package listen_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/listen"
	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The changes of keys, flushes and messages are reported, also after the connection was lost, which is reported too.
func TestListener(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	l, err := listen.Open(ctx, listen.Options{Redis: &redis.Options{Addr: proxy.Addr()}, Prefixes: []string{"a:"}, Channels: []string{"c"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	await := func(what string, ok func(listen.Event) bool) {
		t.Helper()
		for {
			select {
			case e := <-l.Events:
				if ok(e) {
					return
				}
			case <-ctx.Done():
				t.Fatalf("%s isn't reported", what)
			}
		}
	}
	reported := func() {
		t.Helper()
		server.Do("SET", "b:1", "")
		server.Do("SET", "a:1", "")
		await("a change", func(e listen.Event) bool { return strings.Join(e.Keys, " ") == "a:1" })
		server.Do("FLUSHALL")
		await("a flush", func(e listen.Event) bool { return e.Flushed })
		server.Do("PUBLISH", "c", "hello")
		await("a message", func(e listen.Event) bool { return e.Channel == "c" && e.Message == "hello" })
	}
	reported()
	proxy.Cut()
	await("the loss of the connection", func(e listen.Event) bool { return e.Lost != nil })
	await("the new connection", func(e listen.Event) bool { return e.Resumed })
	reported()
}

// What the server refuses is an error of Open.
func TestRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.UserClient(t, "app", "&c", "+subscribe")
	for _, c := range []struct {
		options listen.Options
		want    string
	}{
		{listen.Options{Prefixes: []string{"a:"}, Channels: []string{"c"}}, "CLIENT TRACKING: NOPERM"},
		{listen.Options{Channels: []string{"d"}}, "SUBSCRIBE: NOPERM"},
	} {
		c.options.Redis = client.Options()
		if l, err := listen.Open(t.Context(), c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v, want %s", l, err, c.want)
		}
	}
}
