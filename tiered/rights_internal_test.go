package tiered

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// streamRights are what a user needs beside redistest.CacheRights.
var streamRights = map[Invalidation][]string{Tracking: redistest.TrackingRights, PubSub: redistest.PubSubRights}

// NewRedis's documentation lists the rights with which the tests run.
func TestRightsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("redis.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, rights := range [][]string{redistest.CacheRights, redistest.TrackingRights, redistest.PubSubRights} {
		if want := "//\t" + strings.Join(rights, " ") + " "; !strings.Contains(string(source), want) {
			t.Errorf("redis.go has no line %q", want)
		}
	}
}

// The documented rights suffice: Redis denies nothing but what a cache can do without, whatever it does.
func TestRightsSuffice(t *testing.T) {
	t.Parallel()
	for mode, some := range streamRights {
		server := redistest.Start(t)
		c := openListening(t, server.UserClient(t, "somebody", slices.Concat(redistest.CacheRights, some)...), mode)
		ctx, tags := t.Context(), []string{"a"}
		load := func(_ context.Context, e *Entry[string]) (string, error) {
			e.Tags = tags
			return "v", nil
		}
		_, loaded := c.GetOrLoad(ctx, "k", load)
		_, refreshed := c.Refresh(ctx, "k", load)
		_, failed := c.Refresh(ctx, "none", func(context.Context, *Entry[string]) (string, error) { return "", ErrNotFound })
		errs := []error{
			loaded, refreshed, c.Set(ctx, "k", "v", tags...), c.Expire(ctx, "k"), c.ExpireTags(ctx, tags...), c.InvalidateTags(ctx, tags...),
			c.ExpireAll(ctx), c.Delete(ctx, "k"), c.Clear(ctx), errors.Join(c.remote.Retract(ctx, []string{"k"}, make([]remote.Invalidation, 1))...),
		}
		_, got := c.GetMany(ctx, "k", "l")
		if err := errors.Join(append(errs, got)...); err != nil || !errors.Is(failed, ErrNotFound) {
			t.Errorf("mode %d: %v, %v", mode, err, failed)
		}
		for _, entry := range server.Do("ACL", "LOG").([]any) {
			denied, _ := entry.(map[any]any)["object"].(string)
			if denied != "mget" && !strings.HasPrefix(denied, "client|") { // of which go-redis sends some when it connects
				t.Errorf("mode %d: Redis denied %s", mode, denied)
			}
		}
	}
}

// Rights that are missing on a server that is down at first are reported when it is reached.
func TestRightsOfAServerThatIsDownAtFirst(t *testing.T) {
	t.Parallel()
	for _, mode := range []Invalidation{Tracking, PubSub, None} {
		server := redistest.Start(t, "--rename-command", "EVAL", "", "--rename-command", "SETRANGE", "")
		server.Kill()
		o := quick()
		o.Invalidation, o.Timeout = mode, 500*time.Millisecond
		l := listen(t, server.Client(t), o)
		c, err := New(Options[string]{Name: "test", Redis: l.Redis, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		server.Restart()
		observe.Until(t, "the status", func() bool {
			_, _ = c.Get(t.Context(), "k")
			err := l.Status()
			return err != nil && strings.Contains(err.Error(), "eval: ") && strings.Contains(err.Error(), "setrange: ")
		})
		observe.Until(t, "the log", func() bool { return l.log.Count("Redis lacks what the caches need") == 1 })
	}
}

// Rights that a user loses later are reported too.
func TestRightsAreTakenAway(t *testing.T) {
	t.Parallel()
	for mode, some := range streamRights {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			c := openListening(t, server.UserClient(t, "somebody", slices.Concat(redistest.CacheRights, some)...), mode)
			r := c.redis
			if _, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *Entry[string]) (string, error) { return "v", nil }); err != nil {
				t.Fatal(err)
			}
			observe.Until(t, "the status", func() bool { return r.Status() == nil })
			server.Do("ACL", "SETUSER", "somebody", "-setrange", "-del")
			if err := c.Delete(t.Context(), "k"); !errors.Is(err, ErrQueued) {
				t.Errorf("Delete: %v", err)
			}
			if err := r.Status(); err == nil || !redis.IsPermissionError(err) && !strings.Contains(err.Error(), "can't run this command") { // the latter in a script
				t.Errorf("right after the refusal the status is %v", err)
			}
			observe.Until(t, "all that is missing", func() bool {
				err := r.Status()
				return err != nil && strings.Contains(err.Error(), "del: ") && strings.Contains(err.Error(), "setrange: ")
			})
			server.Do("ACL", "SETUSER", "somebody", "+setrange", "+del")
			observe.Until(t, "the status", func() bool { return r.Status() == nil })
		})
	}
}

// While the user may not use SET, misses only read. When the right is back, so is the one command that reads and takes the lease.
func TestSetIsPermittedAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := openListening(t, server.UserClient(t, "somebody", slices.Concat(redistest.CacheRights, streamRights[Tracking])...), Tracking)
	key := 0
	gets := func() int { // of 100 misses, with some of canaries
		before := server.Calls()["get"]
		for range 100 {
			key++
			if _, err := c.GetOrLoad(t.Context(), fmt.Sprint(key), func(context.Context, *Entry[string]) (string, error) { return "v", nil }); err != nil {
				t.Fatal(err)
			}
		}
		return server.Calls()["get"] - before
	}
	gets() // that misses are likely is learned
	if n := gets(); n >= 50 {
		t.Fatalf("%d GETs of 100 misses", n)
	}
	server.Do("ACL", "SETUSER", "somebody", "-set")
	if n := gets(); n < 50 {
		t.Errorf("without the right to SET: %d GETs of 100 misses", n)
	}
	server.Do("ACL", "SETUSER", "somebody", "+set")
	observe.Until(t, "the status", func() bool { return c.redis.Status() == nil })
	gets()
	if n := gets(); n >= 50 {
		t.Errorf("with the right again: %d GETs of 100 misses", n)
	}
}

// A master that doesn't answer doesn't keep keys of the other masters in the queue, however many of its own are queued.
func TestReplayOfOtherMastersKeys(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	client := cluster.Client(t)
	if err := client.ForEachShard(t.Context(), func(ctx context.Context, node *redis.Client) error {
		return node.ConfigSet(ctx, "cluster-replica-no-failover", "yes").Err()
	}); err != nil {
		t.Fatal(err)
	}
	c := openListening(t, client, Tracking)
	if _, err := c.tags.Epoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	dead := cluster.Masters()[0]
	var keys []string
	theirs, others := 0, 0
	for i := 0; theirs < writequeue.MaxKeys-1 || others == 0; i++ {
		key := fmt.Sprint("k", i)
		node, err := client.MasterForKey(t.Context(), c.remote.Keys.Values+key)
		switch {
		case err != nil:
			t.Fatal(err)
		case node.Options().Addr != dead.Addr() && others == 0:
			others++
		case node.Options().Addr == dead.Addr() && theirs < writequeue.MaxKeys-1:
			theirs++
		default:
			continue
		}
		keys = append(keys, key)
	}
	dead.Freeze()
	defer dead.Thaw()
	c.remote.Conn.Nodes.Find(dead.Addr()).Breaker.Open(mono.Now(), io.EOF)
	if err := c.queue.Failed(keys, false, io.EOF); !errors.Is(err, ErrQueued) {
		t.Fatal(err)
	}
	observe.Until(t, "only the keys of the master that doesn't answer are left", func() bool { return c.queue.Len() == theirs })
	_, _, numbers := c.queue.Invalidations(keys)
	c.queue.Settle(numbers) // Close needn't try
}
