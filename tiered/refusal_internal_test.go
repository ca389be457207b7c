package tiered

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// user makes a user of the server with exactly these rights, and returns its client.
func user(t *testing.T, server *redistest.Server, name string, rights ...string) *redis.Client {
	t.Helper()
	args := []any{"ACL", "SETUSER", name, "reset", "on", ">secret"}
	for _, r := range rights {
		args = append(args, r)
	}
	server.Do(args...)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: name, Password: "secret"})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// The rights that NewRedis's documentation lists.
var (
	cacheRights  = []string{"~tc:*", "+get", "+set", "+del", "+eval", "+time", "+pttl", "+pexpire", "+getrange", "+setrange", "+incrby"}
	streamRights = map[Invalidation][]string{
		Tracking: {"~tc!*", "&tc!*", "+client|tracking", "+subscribe", "+ping"},
		PubSub:   {"&tc!*", "+publish", "+subscribe", "+ping"},
	}
)

func TestRights(t *testing.T) {
	server := redistest.Start(t)
	for mode, some := range streamRights {
		rights := slices.Concat(cacheRights, some)
		o := quick()
		o.Invalidation = mode
		l := listen(t, user(t, server, "able", rights...), o)
		l.proven(t)
		for i, missing := range rights {
			start := time.Now()
			r, err := NewRedis(user(t, server, "unable", slices.Delete(slices.Clone(rights), i, i+1)...), o)
			if r != nil || err == nil || !redis.IsPermissionError(err) || !strings.Contains(err.Error(), "NewRedis's documentation") {
				t.Errorf("mode %d without %s: %v", mode, missing, err)
			}
			if d := time.Since(start); d > o.Timeout {
				t.Errorf("mode %d without %s: it took %v", mode, missing, d)
			}
			t.Log(err)
		}
	}
}

func TestRightsInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	client := func(rights ...string) redis.UniversalClient {
		args := []any{"ACL", "SETUSER", "somebody", "reset", "on", ">secret"}
		for _, r := range rights {
			args = append(args, r)
		}
		admin := c.Client(t)
		set := func(ctx context.Context, node *redis.Client) error { return node.Do(ctx, args...).Err() }
		if err := errors.Join(admin.ForEachMaster(t.Context(), set), admin.ForEachSlave(t.Context(), set)); err != nil {
			t.Fatal(err)
		}
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Username: "somebody", Password: "secret"})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	for mode, some := range streamRights {
		rights := slices.Concat(cacheRights, some, []string{"+cluster|slots"})
		o := quick()
		o.Invalidation = mode
		l := listen(t, client(rights...), o)
		if err := l.Status(); err != nil {
			t.Errorf("mode %d: %v", mode, err)
		}
		if err := l.client.Set(t.Context(), "tc:c:k", 1, 0).Err(); err != nil {
			t.Errorf("mode %d: a cache's SET: %v", mode, err)
		}
		for i, missing := range rights {
			r, err := NewRedis(client(slices.Delete(slices.Clone(rights), i, i+1)...), o)
			if r != nil || err == nil || !redis.IsPermissionError(err) {
				t.Errorf("mode %d without %s: %v", mode, missing, err)
			}
		}
	}
}

func TestWrongPassword(t *testing.T) {
	server := redistest.Start(t)
	_ = user(t, server, "somebody", "+@all", "~*", "&*")
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "somebody", Password: "wrong"})
	defer client.Close()
	if r, err := NewRedis(client, quick()); r != nil || !redis.IsAuthError(err) {
		t.Errorf("got %v", err)
	}
	server.Do("CONFIG", "SET", "requirepass", "secret")
	if r, err := NewRedis(server.Client(t), quick()); r != nil || !redis.IsAuthError(err) {
		t.Errorf("got %v", err)
	}
}

func TestServersThatCannotTrack(t *testing.T) {
	for what, server := range map[string]*redistest.Server{
		"RESP2 only":  redistest.Start(t, "--rename-command", "HELLO", ""),
		"no tracking": redistest.Start(t, "--rename-command", "CLIENT", ""),
	} {
		r, err := NewRedis(server.Client(t), quick())
		var reply redis.Error
		if r != nil || err == nil || !errors.As(err, &reply) || !strings.Contains(err.Error(), "RedisOptions.Invalidation: PubSub") {
			t.Errorf("%s: %v", what, err)
		}
		t.Log(err)
	}
	ring := redis.NewRing(&redis.RingOptions{})
	defer ring.Close()
	for _, mode := range []Invalidation{Tracking, PubSub} {
		if r, err := NewRedis(ring, RedisOptions{Invalidation: mode}); r != nil || err == nil || !strings.Contains(err.Error(), "*redis.Ring") {
			t.Errorf("a ring: %v", err)
		}
	}
	r, err := NewRedis(ring, RedisOptions{Invalidation: None})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.streams.only; !s.deaf || !s.proof().holds(now()) || r.Status() != nil {
		t.Error("None has to be deaf, and proven")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A right that is taken away later is logged once, asked for now and then, and made use of when it is back.
func TestRefusedLater(t *testing.T) {
	server := redistest.Start(t)
	rights := slices.Concat(cacheRights, streamRights[Tracking])
	l := listen(t, user(t, server, "somebody", rights...), quick())
	l.proven(t)
	server.Do("ACL", "SETUSER", "somebody", "-client|tracking")
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "the log", func() bool { return l.log.count("level=ERROR") == 1 })
	if err := l.Status(); !redis.IsPermissionError(err) {
		t.Errorf("status: %v", err)
	}
	server.Do("ACL", "SETUSER", "somebody", "+client|tracking")
	l.proven(t)
	l.logged(t, 1, 1, 1)
}

// Out of memory, Redis takes no canaries but answers reads.
func TestOutOfMemory(t *testing.T) {
	server := redistest.Start(t)
	l := listen(t, server.Client(t), alert())
	p := l.proven(t)
	server.Do("CONFIG", "SET", "maxmemory", "1")
	eventually(t, "the proof lapses", func() bool { return !p.holds(now()) })
	eventually(t, "the cause", func() bool { err := l.Status(); return err != nil && strings.Contains(err.Error(), "OOM") })
	if l.streams.only.silent.Load() {
		t.Error("silent, though reads are answered")
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	if l.proven(t) != p {
		t.Error("another proof")
	}
}
