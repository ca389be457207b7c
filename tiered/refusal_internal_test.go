package tiered

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/mono"
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

// namesAll checks that an error names each of some commands as missing.
func namesAll(t *testing.T, err error, commands []string) {
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

// All that is missing is named at once, whether the server doesn't have it or not for this user.
func TestAllThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	commands := []string{"get", "set", "del", "eval", "time", "pttl", "pexpire", "getrange", "setrange", "incrby"}
	able := redistest.Start(t)
	for mode, more := range map[Invalidation][]string{
		None:     nil,
		Tracking: {"client tracking", "subscribe"},
		PubSub:   {"publish", "subscribe"},
	} {
		o := RedisOptions{Invalidation: mode, Timeout: 5 * time.Second}
		r, err := NewRedis(user(t, able, "nobody", "~tc:*", "~tc!*", "&tc!*", "+ping"), o)
		if r != nil {
			t.Error("it was made")
		}
		namesAll(t, err, slices.Concat(commands, more))
		var args []string
		for _, c := range commands {
			args = append(args, "--rename-command", strings.ToUpper(c), "")
		}
		r, err = NewRedis(redistest.Start(t, args...).Client(t), o)
		if r != nil {
			t.Error("it was made")
		}
		namesAll(t, err, commands)
	}
}

// questions is a go-redis hook that counts round trips with a probe of EVAL.
type questions struct{ n atomic.Int64 }

func (q *questions) DialHook(next redis.DialHook) redis.DialHook { return next }

func (q *questions) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "eval" {
			q.n.Add(100)
		}
		return next(ctx, cmd)
	}
}

func (q *questions) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Name() == "eval" }) {
			q.n.Add(1)
		}
		return next(ctx, cmds)
	}
}

// It is asked in one round trip, and leaves nothing in Redis.
func TestAskingForRightsCostsLittle(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, mode := range []Invalidation{Tracking, PubSub, None} {
		client, q := server.Client(t), new(questions)
		client.AddHook(q)
		l := listen(t, client, RedisOptions{Invalidation: mode, Timeout: 5 * time.Second, Heartbeat: time.Hour})
		if n, err := q.n.Load(), l.Status(); n != 1 || err != nil {
			t.Errorf("mode %d: asked %d times; status: %v", mode, n, err)
		}
		keys, _ := server.Do("KEYS", "*!"+l.conn.ID+"*").([]any)
		for _, key := range keys {
			if !strings.HasPrefix(key.(string), l.streams.canaries()) || strings.HasSuffix(key.(string), "rights") {
				t.Errorf("mode %d: %v is left", mode, key)
			}
		}
	}
}

// What is missing in a server that is down at first shows when it is reached.
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
		eventually(t, "the status", func() bool {
			_, _ = c.Get(t.Context(), "k")
			err := l.Status()
			return err != nil && strings.Contains(err.Error(), "eval: ") && strings.Contains(err.Error(), "setrange: ")
		})
		eventually(t, "the log", func() bool { return l.log.count("Redis lacks what the caches need") == 1 })
	}
}

// So does what a user is forbidden later.
func TestRightsAreTakenAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for mode, some := range streamRights {
		c := openListening(t, user(t, server, "somebody", slices.Concat(cacheRights, some)...), mode)
		r := c.redis
		if _, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *Entry[string]) (string, error) { return "v", nil }); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the status", func() bool { return r.Status() == nil })
		server.Do("ACL", "SETUSER", "somebody", "-setrange", "-del")
		if err := c.Delete(t.Context(), "k"); !errors.Is(err, ErrQueued) {
			t.Errorf("mode %d: Delete: %v", mode, err)
		}
		if err := r.Status(); err == nil || !redis.IsPermissionError(err) {
			t.Errorf("mode %d: right after the refusal the status is %v", mode, err)
		}
		eventually(t, "all that is missing", func() bool {
			err := r.Status()
			return err != nil && strings.Contains(err.Error(), "del: ") && strings.Contains(err.Error(), "setrange: ")
		})
		server.Do("ACL", "SETUSER", "somebody", "+setrange", "+del")
		eventually(t, "the status", func() bool { return r.Status() == nil })
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
		if err := l.conn.Client.Set(t.Context(), "tc:c:k", 1, 0).Err(); err != nil {
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

// Of a Cluster every master is asked.
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
	for _, mode := range []Invalidation{Tracking, PubSub, None} {
		r, err := NewRedis(c.Client(t), RedisOptions{Invalidation: mode, Timeout: 5 * time.Second})
		if r != nil || err == nil || !strings.Contains(err.Error(), one.Options().Addr) || strings.Count(err.Error(), "lacks") != 1 {
			t.Errorf("mode %d: %v", mode, err)
			continue
		}
		namesAll(t, err, []string{"pttl", "incrby"})
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
	eventually(t, "the proof lapses", func() bool { return !p.Holds(mono.Now()) })
	eventually(t, "the cause", func() bool { err := l.Status(); return err != nil && strings.Contains(err.Error(), "OOM") })
	if l.streams.only.Unreachable.Load() {
		t.Error("silent, though reads are answered")
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	if l.proven(t) != p {
		t.Error("another proof")
	}
}
