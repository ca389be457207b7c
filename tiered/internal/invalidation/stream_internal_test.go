package invalidation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

func TestValidityHolds(t *testing.T) {
	t.Parallel()
	f := openFixture(t, redistest.Start(t).Client(t), quick())
	s := f.only
	v := s.Validity()
	if !v.Holds(mono.Now()) || f.Status() != nil {
		t.Fatalf("not valid when NewRedis returns: %v", f.Status())
	}
	for range 20 {
		before := s.canary.last()
		observe.Until(t, "the next canary", func() bool { return s.canary.last() > before })
		if s.Validity() != v || !v.Holds(mono.Now()) {
			t.Fatal("the validity doesn't go on")
		}
	}
	if s.Unreachable.Load() || s.NoEvents || f.Nodes.Only.Feed != &s.Feed {
		t.Error("a wrong stream")
	}
	if f.log.String() != "" {
		t.Errorf("logged %s", f.log)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "allkeys-random")
	f := openFixture(t, server.Client(t), quick())
	server.Do("SET", "tc:c:there", "1")
	server.Do("HSET", "tc:c:hash", "f", "1")
	for i, commands := range [][]any{
		{"SET", "tc:c:%", "1"},
		{"SET", "tc:c:%", "1"},
		{"DEL", "tc:c:%"},
		{"SET", "tc:c:%", "1"},
		{"EXPIRE", "tc:c:%", "100"},
		{"PERSIST", "tc:c:%"},
		{"RENAME", "tc:c:there", "tc:c:%"},
		{"HSET", "tc:c:%", "f", "2"},
		{"MSET", "other", "1", "tc:c:%", "2"},
		{"EVAL", "return redis.call('SET', KEYS[1], 1)", "1", "tc:c:%"},
		{"SET", "tc:c:%", "1", "PX", "1"},
		{"SET", "tc:c!%", "1"},
	} {
		// DEL and its like need the key of the command before.
		name := fmt.Sprint("k", i)
		if slices.Contains([]any{"DEL", "EXPIRE", "PERSIST"}, commands[0]) {
			server.Do("SET", "tc:c:"+name, "1", "PX", "100000")
			observe.Until(t, "preparation", func() bool { return f.changes.has(":" + name) })
			f.changes.reset()
		}
		sep := ":"
		for j, word := range commands {
			if w := word.(string); strings.Contains(w, "%") {
				commands[j] = strings.ReplaceAll(w, "%", name)
				if strings.Contains(w, "!") {
					sep = "!"
				}
			}
		}
		server.Do(commands...)
		observe.Until(t, fmt.Sprint(commands), func() bool { return f.changes.has(sep + name) })
	}
	observe.Until(t, "RENAME's source", func() bool { return f.changes.has(":there") })

	f.changes.reset()
	server.Do("SET", "tc:c:victim", "1")
	observe.Until(t, "the victim", func() bool { return f.changes.has(":victim") })
	f.changes.reset()
	server.Do("CONFIG", "SET", "maxmemory", "1") // each command evicts all there is, and is refused
	_, _ = server.Client(t).Set(t.Context(), "x", 1, 0).Result()
	observe.Until(t, "eviction", func() bool { return f.changes.has(":victim") })
	server.Do("CONFIG", "SET", "maxmemory", "0")

	for _, flush := range []string{"FLUSHALL", "FLUSHDB"} {
		before, n := f.waitValid(t), f.changes.interruptions()
		server.Do(flush)
		observe.Until(t, flush, func() bool { return before.Ended() })
		if v := f.only.Validity(); v == before || !v.Holds(mono.Now()) {
			t.Errorf("%s: the new validity is the old one or doesn't hold", flush)
		}
		observe.Until(t, flush, func() bool { return f.changes.interruptions() > n }) // the next canary, which finds no mark, adds one
	}
}

// Messages with other names, or with a wrong number, don't extend the validity.
func TestForeignCanaries(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), settings{Heartbeat: time.Hour, Timeout: 5 * time.Second})
	other := openFixture(t, server.Client(t), quick())
	until := f.waitValid(t).Until()
	server.Do("SET", f.canaryPrefix()+fmt.Sprint(int64(mono.Now().Add(time.Hour))), "1")
	server.Do("SET", f.canaryPrefix()+"x", "1")
	server.Do("SET", f.canaryPrefix()+"-5", "1")
	server.Do("SET", other.canaryPrefix()+"1", "1")
	server.Do("SET", "tc:c:last", "1")
	observe.Until(t, "everything is reported", func() bool { return f.changes.has(":last") })
	if u := f.only.Validity().Until(); u != until {
		t.Errorf("the validity was extended by %v", time.Duration(u-until))
	}
}

func trackers(server *redistest.Server) (ids []string) {
	list, _ := server.Do("CLIENT", "LIST").(string)
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "flags=") && strings.Contains(f, "B") }) {
			ids = append(ids, strings.TrimPrefix(fields[0], "id="))
		}
	}
	return ids
}

func TestConnectionLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), quick())
	isUp := func() bool { at := mono.Now(); return f.only.status.downSince(at) == at }
	for i := range 5 {
		before, n := f.waitValid(t), f.changes.interruptions()
		observe.Until(t, "invalidations arrive", isUp)
		ids := trackers(server)
		if len(ids) != 1 {
			t.Fatalf("%d connections with tracking", len(ids))
		}
		server.Do("CLIENT", "KILL", "ID", ids[0])
		observe.Until(t, "the old validity ends", func() bool { return before.Ended() })
		observe.Until(t, "an interruption", func() bool { return f.changes.interruptions() > n })
		if f.waitValid(t) == before {
			t.Error("the old validity")
		}
		key := fmt.Sprint("k", i)
		server.Do("SET", "tc:c:"+key, "1")
		observe.Until(t, "events", func() bool { return f.changes.has(":" + key) })
	}
	f.checkLog(t, 1, 0, 1) // the others come too soon to be logged
	observe.Until(t, "invalidations arrive", isUp)
	if n := f.Lost(); n != 5 {
		t.Errorf("lost %d times", n)
	}
	server.Kill()
	observe.Until(t, "the sixth loss", func() bool { return !isUp() })
	if err := f.Status(); err == nil || !strings.Contains(err.Error(), ", lost 6 times in ") {
		t.Errorf("status: %v", err)
	}
}

// When Redis stalls for a moment, the validity runs out, and holds again afterwards.
func TestFreeze(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), settings{Heartbeat: 500 * time.Millisecond, Timeout: time.Second})
	v, n := f.waitValid(t), f.changes.interruptions()
	server.Freeze()
	observe.Until(t, "the validity runs out", func() bool { return !v.Holds(mono.Now()) })
	if err := f.Status(); err == nil || !strings.Contains(err.Error(), "no invalidations for") || !strings.Contains(err.Error(), server.Addr()) {
		t.Errorf("status: %v", err)
	}
	observe.Until(t, "silence", f.only.Unreachable.Load)
	server.Thaw()
	observe.Until(t, "the validity holds again", func() bool { return v.Holds(mono.Now()) })
	observe.Until(t, "no silence", func() bool { return !f.only.Unreachable.Load() })
	if f.waitValid(t) != v || f.changes.interruptions() != n {
		t.Errorf("the stream was taken for dead:\n%s", f.log)
	}
}

// A connection that receives nothing any more is given up.
func TestLongFreeze(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), shortLived())
	before := f.waitValid(t)
	server.Freeze()
	observe.Until(t, "the old validity ends", func() bool { return before.Ended() })
	if !f.only.Unreachable.Load() {
		t.Error("not silent")
	}
	server.Thaw()
	if f.waitValid(t) == before {
		t.Error("the old validity")
	}
	f.checkLog(t, 1, 0, 1)
}

func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), quick())
	before := f.waitValid(t)
	server.Kill()
	observe.Until(t, "the old validity ends", func() bool { return before.Ended() })
	observe.Until(t, "silence", f.only.Unreachable.Load)
	if err := f.Status(); err == nil {
		t.Error("status is nil")
	}
	server.Restart()
	after := f.waitValid(t)
	if after == before {
		t.Error("the old validity")
	}
	observe.Until(t, "no silence", func() bool { return !f.only.Unreachable.Load() })
	server.Do("SET", "tc:c:k", "1")
	observe.Until(t, "events", func() bool { return f.changes.has(":k") })
	f.checkLog(t, 1, 0, 1)
}

// The address leads to another server, and the connection to the old one stays open: its changes are not those of the cache's keys.
func TestMovedAddress(t *testing.T) {
	t.Parallel()
	from, to := redistest.Start(t), redistest.Start(t)
	var addr atomic.Pointer[string]
	lead := func(s *redistest.Server) { a := s.Addr(); addr.Store(&a) }
	lead(from)
	client := redis.NewClient(&redis.Options{Addr: "redis:6379", Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, *addr.Load())
	}})
	defer client.Close()
	f := openFixture(t, client, shortLived())
	before := f.waitValid(t)
	lead(to)
	from.Do("CLIENT", "KILL", "TYPE", "normal") // not the stream
	observe.Until(t, "the old validity ends", func() bool { return before.Ended() })
	f.waitValid(t)
	to.Do("SET", "tc:c:k", "1")
	observe.Until(t, "events", func() bool { return f.changes.has(":k") })
	if n := f.log.Count("hangs on a server") + f.log.Count("in time"); n == 0 {
		t.Errorf("logged %s", f.log)
	}
}

func TestDownAtFirst(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	f := openFixture(t, server.Client(t), quick())
	if err := f.Status(); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("status: %v", err)
	}
	if !f.only.Unreachable.Load() {
		t.Error("not silent")
	}
	server.Restart()
	f.waitValid(t)
}

func TestCloseWhileFrozen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), shortLived())
	v := f.waitValid(t)
	server.Freeze()
	defer server.Thaw()
	start := time.Now()
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("Close took %v", d)
	}
	if v.Holds(mono.Now()) || !f.only.Unreachable.Load() || !f.Calls.Closed() {
		t.Error("after Close no validity holds, and Redis isn't asked")
	}
	if f.log.String() != "" {
		t.Errorf("logged %s", f.log)
	}
}

func TestManyObjects(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	all := make([]fixture, 64)
	for i := range all {
		all[i] = openFixture(t, client, settings{Heartbeat: time.Second, Timeout: 10 * time.Second})
	}
	server.Do("SET", "tc:c:k", "1")
	for _, f := range all {
		f.waitValid(t)
		observe.Until(t, "events", func() bool { return f.changes.has(":k") })
	}
}
