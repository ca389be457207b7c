package invalidation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// streamRights are what a user needs beside redistest.CacheRights.
var streamRights = map[Mode][]string{Tracking: redistest.TrackingRights, PubSub: redistest.PubSubRights}

func TestRights(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for m, some := range streamRights {
		rights := slices.Concat(redistest.CacheRights, some)
		o := quick()
		o.Invalidation = m
		f := openFixture(t, server.UserClient(t, "able", rights...), o)
		f.waitValid(t)
		for i, missing := range rights {
			start := time.Now()
			ss, err := open(server.UserClient(t, "unable", slices.Delete(slices.Clone(rights), i, i+1)...), o, new(recorder))
			if ss != nil || err == nil || !redis.IsPermissionError(err) || !strings.Contains(err.Error(), "NewRedis's documentation") {
				t.Errorf("mode %d without %s: %v", m, missing, err)
			}
			if d := time.Since(start); d > o.Timeout {
				t.Errorf("mode %d without %s: it took %v", m, missing, d)
			}
			t.Log(err)
		}
	}
}

// checkNamesAll checks that an error names each of some commands as missing.
func checkNamesAll(t *testing.T, err error, commands []string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, c := range commands {
		if !strings.Contains(strings.ToLower(err.Error()), c+": ") {
			t.Errorf("%s isn't named: %v", c, err)
		}
	}
	if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "NewRedis's documentation") {
		t.Errorf("got %v", err)
	}
}

// Everything that is missing is named at once: commands that the server doesn't have, and those that this user may not use.
func TestEverythingMissingIsNamed(t *testing.T) {
	t.Parallel()
	var commands []string
	for _, right := range redistest.CacheRights {
		if command, ok := strings.CutPrefix(right, "+"); ok {
			commands = append(commands, command)
		}
	}
	able := redistest.Start(t)
	for m, more := range map[Mode][]string{
		None:     nil,
		Tracking: {"client tracking", "subscribe"},
		PubSub:   {"publish", "subscribe"},
	} {
		o := settings{Invalidation: m, Timeout: 5 * time.Second}
		ss, err := open(able.UserClient(t, "nobody", "~tc:*", "~tc!*", "&tc!*", "+ping"), o, new(recorder))
		if ss != nil {
			t.Error("it was made")
		}
		checkNamesAll(t, err, slices.Concat(commands, more))
		var args []string
		for _, c := range commands {
			args = append(args, "--rename-command", strings.ToUpper(c), "")
		}
		ss, err = open(redistest.Start(t, args...).Client(t), o, new(recorder))
		if ss != nil {
			t.Error("it was made")
		}
		checkNamesAll(t, err, commands)
	}
}

// commandCounter is a go-redis hook that counts round trips with a probe of EVAL.
type commandCounter struct{ n atomic.Int64 }

func (cc *commandCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (cc *commandCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "eval" {
			cc.n.Add(100)
		}
		return next(ctx, cmd)
	}
}

func (cc *commandCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Name() == "eval" }) {
			cc.n.Add(1)
		}
		return next(ctx, cmds)
	}
}

// The check takes one round trip, and leaves nothing in Redis.
func TestCheckingRightsCostsLittle(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, m := range []Mode{Tracking, PubSub, None} {
		client, cc := server.Client(t), new(commandCounter)
		client.AddHook(cc)
		f := openFixture(t, client, settings{Invalidation: m, Timeout: 5 * time.Second, Heartbeat: time.Hour})
		if n, err := cc.n.Load(), f.Status(); n != 1 || err != nil {
			t.Errorf("mode %d: asked %d times; status: %v", m, n, err)
		}
		keys, _ := server.Do("KEYS", "*!"+f.ID+"*").([]any)
		for _, key := range keys {
			if !strings.HasPrefix(key.(string), f.canaryPrefix()) || strings.HasSuffix(key.(string), "rights") {
				t.Errorf("mode %d: %v is left", m, key)
			}
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
	for m, some := range streamRights {
		rights := slices.Concat(redistest.CacheRights, some, []string{"+cluster|slots"})
		o := quick()
		o.Invalidation = m
		f := openFixture(t, client(rights...), o)
		if err := f.Status(); err != nil {
			t.Errorf("mode %d: %v", m, err)
		}
		if err := f.Client.Set(t.Context(), "tc:c:k", 1, 0).Err(); err != nil {
			t.Errorf("mode %d: a cache's SET: %v", m, err)
		}
		for i, missing := range rights {
			ss, err := open(client(slices.Delete(slices.Clone(rights), i, i+1)...), o, new(recorder))
			if ss != nil || err == nil || !redis.IsPermissionError(err) {
				t.Errorf("mode %d without %s: %v", m, missing, err)
			}
		}
	}
}

// In a Cluster every master is checked.
func TestRightsOfOneMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	var one *redis.Client
	var mu sync.Mutex
	err := c.Client(t).ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		one = node
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The user that everybody is.
	if err := one.Do(t.Context(), "ACL", "SETUSER", "default", "-pttl", "-incrby").Err(); err != nil {
		t.Fatal(err)
	}
	defer one.Do(t.Context(), "ACL", "SETUSER", "default", "+@all")
	for _, m := range []Mode{Tracking, PubSub, None} {
		ss, err := open(c.Client(t), settings{Invalidation: m, Timeout: 5 * time.Second}, new(recorder))
		if ss != nil || err == nil || !strings.Contains(err.Error(), one.Options().Addr) || strings.Count(err.Error(), "lacks") != 1 {
			t.Errorf("mode %d: %v", m, err)
			continue
		}
		checkNamesAll(t, err, []string{"pttl", "incrby"})
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	_ = server.UserClient(t, "somebody", "+@all", "~*", "&*")
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "somebody", Password: "wrong"})
	defer client.Close()
	if ss, err := open(client, quick(), new(recorder)); ss != nil || !redis.IsAuthError(err) {
		t.Errorf("got %v", err)
	}
	server.Do("CONFIG", "SET", "requirepass", "secret")
	if ss, err := open(server.Client(t), quick(), new(recorder)); ss != nil || !redis.IsAuthError(err) {
		t.Errorf("got %v", err)
	}
}

func TestServersThatCannotTrack(t *testing.T) {
	t.Parallel()
	for what, server := range map[string]*redistest.Server{
		"RESP2 only":  redistest.Start(t, "--rename-command", "HELLO", ""),
		"no tracking": redistest.Start(t, "--rename-command", "CLIENT", ""),
	} {
		ss, err := open(server.Client(t), quick(), new(recorder))
		var reply redis.Error
		if ss != nil || err == nil || !errors.As(err, &reply) || !strings.Contains(err.Error(), "RedisOptions.Invalidation: PubSub") {
			t.Errorf("%s: %v", what, err)
		}
		t.Log(err)
	}
}

// A right that is taken away later is logged once and checked now and then. When it is back, the stream uses it.
func TestRefusedLater(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rights := slices.Concat(redistest.CacheRights, streamRights[Tracking])
	f := openFixture(t, server.UserClient(t, "somebody", rights...), quick())
	f.waitValid(t)
	server.Do("ACL", "SETUSER", "somebody", "-client|tracking")
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	observe.Until(t, "the log", func() bool { return f.log.Count("level=ERROR") == 1 })
	if err := f.Status(); !redis.IsPermissionError(err) {
		t.Errorf("status: %v", err)
	}
	server.Do("ACL", "SETUSER", "somebody", "+client|tracking")
	f.waitValid(t)
	f.checkLog(t, 1, 1, 1)
}

// Canaries that are refused are one loss, though the connection answers and the validity hasn't run out yet.
func TestCanariesAreRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for m, right := range map[Mode]string{Tracking: "eval", PubSub: "publish"} {
		o := quick()
		o.Invalidation = m
		f := openFixture(t, server.UserClient(t, right, slices.Concat(redistest.CacheRights, streamRights[m])...), o)
		f.waitValid(t)
		observe.Until(t, "a PONG", func() bool { return f.only.conn.Load().watchdog.pong.Load() > 0 })
		server.Do("ACL", "SETUSER", right, "-"+right)
		observe.Until(t, "the loss", func() bool { return f.Lost() > 0 })
		pongs := &f.only.conn.Load().watchdog.pong
		last := pongs.Load()
		observe.Until(t, "more PONGs", func() bool { return pongs.Load() > last+3 })
		const arrive = "tiered: invalidations arrive again"
		if n := f.Lost(); n != 1 || f.log.Count(arrive) > 0 {
			t.Errorf("%v: lost %d times:\n%s", m, n, f.log)
		}
		server.Do("ACL", "SETUSER", right, "+"+right)
		observe.Until(t, "the log of the recovery", func() bool { return f.log.Count(arrive) == 1 })
		if n := f.Lost(); n != 1 || f.Status() != nil {
			t.Errorf("%v: lost %d times, %v", m, n, f.Status())
		}
	}
}

// Without memory, Redis executes no canaries but answers reads.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), shortLived())
	v := f.waitValid(t)
	server.Do("CONFIG", "SET", "maxmemory", "1")
	observe.Until(t, "the validity runs out", func() bool { return !v.Holds(mono.Now()) })
	observe.Until(t, "the cause", func() bool { err := f.Status(); return err != nil && strings.Contains(err.Error(), "OOM") })
	if f.only.Unreachable.Load() {
		t.Error("silent, though reads are answered")
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	if f.waitValid(t) != v {
		t.Error("another validity")
	}
}
