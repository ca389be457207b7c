package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// quiet has nothing but the caches' own calls come to Redis.
var quiet = tiered.RedisOptions{Invalidation: tiered.None, Heartbeat: time.Hour, Timeout: 10 * time.Second}

// filled returns two processes, of which the first has stored n values, and the server.
func filled(t *testing.T, n int, o tiered.RedisOptions) (s *redistest.Server, c *tiered.Cache[string]) {
	t.Helper()
	s = redistest.Start(t)
	values := make(map[string]string, n)
	for i := range n {
		values[fmt.Sprint("k", i)] = fmt.Sprint("v", i)
	}
	if err := newProcess(t, s, o, tiered.Policy{}).SetMany(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	c = newProcess(t, s, o, tiered.Policy{})
	if err := c.Set(t.Context(), "to know the cache's epoch", ""); err != nil {
		t.Fatal(err)
	}
	return s, c
}

// waiting is a context that tells that somebody waits.
type waiting struct {
	context.Context
	is atomic.Bool
}

func (w *waiting) Done() <-chan struct{} {
	w.is.Store(true)
	return w.Context.Done()
}

// beginAll begins n calls, and returns when each waits for Redis.
func beginAll(t *testing.T, n int, f func(ctx context.Context, i int) (string, error)) (all []*call) {
	t.Helper()
	contexts := make([]waiting, n)
	for i := range contexts {
		contexts[i].Context = t.Context()
		all = append(all, begun(func() (string, error) { return f(&contexts[i], i) }))
	}
	for i := range contexts {
		waitFor(t, contexts[i].is.Load)
	}
	return all
}

func TestMissTakesThreeCommands(t *testing.T) {
	t.Parallel()
	s, c := filled(t, 0, quiet)
	got := sent(s, func() { gets(t, c, "k", value("v"), "v") })
	// The read, the lease and the store; what the store does in Redis counts there too.
	if want := map[string]int{"get": 1, "set": 1 + 1, "eval": 1, "getrange": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Callers that come while Redis is busy share a command, and each gets its own value.
func TestReadsShareCommands(t *testing.T) {
	t.Parallel()
	const n = 300
	s, c := filled(t, n, quiet)
	reads := func() int { return calls(s, "get") + calls(s, "mget") }
	before := reads()
	s.Freeze()
	all := beginAll(t, n, func(ctx context.Context, i int) (string, error) {
		return c.GetOrLoad(ctx, fmt.Sprint("k", i), noLoad[string](t))
	})
	s.Thaw()
	for i, cl := range all {
		cl.gets(t, fmt.Sprint("v", i))
	}
	if got := reads() - before; got > n/4 {
		t.Errorf("%d reads took %d commands", n, got)
	}
	if st := c.Stats(); st.RemoteHits != n {
		t.Errorf("stats %+v", st)
	}
}

// Who gives up is answered at once, and the answers that come later reach nobody else.
func TestReadsThatAreGivenUp(t *testing.T) {
	t.Parallel()
	const n = 200
	s, c := filled(t, n, quiet)
	s.Freeze()
	leaving, leave := context.WithCancel(t.Context())
	gone := beginAll(t, n, func(ctx context.Context, i int) (string, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer context.AfterFunc(leaving, cancel)()
		return c.Get(ctx, fmt.Sprint("k", i))
	})
	leave()
	for _, cl := range gone {
		if _, err := cl.wait(t); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	all := beginAll(t, n, func(ctx context.Context, i int) (string, error) { return c.Get(ctx, fmt.Sprint("k", n-1-i)) })
	s.Thaw()
	for i, cl := range all {
		cl.gets(t, fmt.Sprint("v", n-1-i))
	}
}

// A server that is back after a Timeout, which the breaker was too short to notice, is read again at once.
func TestReadsAfterATimeout(t *testing.T) {
	t.Parallel()
	o := quiet
	o.Timeout = 300 * time.Millisecond
	s, c := filled(t, 1, o)
	s.Freeze()
	began := time.Now()
	if v, err := c.GetOrLoad(t.Context(), "absent", func(context.Context, *tiered.Entry[string]) (string, error) { return "v", nil }); v != "v" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	if took := time.Since(began); took < o.Timeout {
		t.Errorf("it took %v", took)
	}
	s.Thaw()
	waitFor(t, func() bool { v, _ := c.Get(t.Context(), "k0"); return v == "v0" })
}

func TestCloseEndsReads(t *testing.T) {
	t.Parallel()
	s, c := filled(t, 1, quiet)
	s.Freeze()
	defer s.Thaw()
	all := beginAll(t, 20, func(ctx context.Context, i int) (string, error) {
		return c.GetOrLoad(ctx, fmt.Sprint("k", i), noLoad[string](t))
	})
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, cl := range all {
		if _, err := cl.wait(t); !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	<-closed
}

// One command for many keys doesn't tell a value of another type from nothing: it isn't overwritten for that.
func TestForeignTypeAmongMany(t *testing.T) {
	t.Parallel()
	s, c := filled(t, 10, quiet)
	s.Do("DEL", "tc:test:k3")
	s.Do("HSET", "tc:test:k3", "f", "v")
	ids := []int{0, 1, 2, 3, 4}
	got, err := tiered.GetOrLoadMany(t.Context(), c, ids, func(id int) string { return fmt.Sprint("k", id) },
		func(_ context.Context, ids []int) (map[int]string, error) {
			if !slices.Equal(ids, []int{3}) {
				t.Errorf("loads %v", ids)
			}
			if kind := s.Do("TYPE", "tc:test:k3"); kind != "hash" {
				t.Errorf("it is a %v while it is loaded", kind)
			}
			return map[int]string{3: "loaded"}, nil
		})
	if err != nil || len(got) != 5 || got[3] != "loaded" || got[4] != "v4" {
		t.Errorf("got %v, %v", got, err)
	}
}

// A user without the right to MGET has its keys read with one GET each, in one round trip.
func TestReadsWithoutMGet(t *testing.T) {
	t.Parallel()
	s, _ := filled(t, 100, quiet)
	s.Do("ACL", "SETUSER", "somebody", "reset", "on", ">secret", "~*", "&*", "+@all", "-mget")
	o := s.Client(t).Options()
	o.Username, o.Password = "somebody", "secret"
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	r, err := tiered.NewRedis(client, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	c := newCache(t, tiered.Options[string]{Redis: r})
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	if got, err := c.GetMany(t.Context(), keys...); err != nil || len(got) != 100 {
		t.Errorf("got %d, %v", len(got), err)
	}
	if n, ok := s.Calls()["mget"]; !ok || n > 0 {
		t.Error("no MGET was refused")
	}
}

// In a Cluster those that share a pipeline are of one master, and what has moved is found.
func TestReadsInACluster(t *testing.T) {
	t.Parallel()
	const n = 300
	cluster := redistest.StartCluster(t)
	open := func() *tiered.Cache[string] {
		r, err := tiered.NewRedis(cluster.Client(t), tiered.RedisOptions{Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return newCache(t, tiered.Options[string]{Redis: r})
	}
	values := make(map[string]string, n)
	for i := range n {
		values[fmt.Sprint("k", i)] = fmt.Sprint("v", i)
	}
	if err := open().SetMany(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	c := open()
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() {
			if v, err := c.GetOrLoad(t.Context(), fmt.Sprint("k", i), noLoad[string](t)); err != nil || v != fmt.Sprint("v", i) {
				t.Errorf("k%d: got %q, %v", i, v, err)
			}
		})
	}
	callers.Wait()
}

// gatekeeper holds GETs and what is to be late back, and notes how many keys each command read.
type gatekeeper struct {
	redis.Hook
	mu   sync.Mutex
	gets chan struct{} // closed: they pass
	slow string        // an MGET of this key is never in time
	late chan struct{} // closed: it returns
	with map[string]int
}

func (g *gatekeeper) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gatekeeper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (g *gatekeeper) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		g.mu.Lock()
		gets, isLate := g.gets, false
		if name := cmd.Name(); name == "get" || name == "mget" {
			for _, key := range cmd.Args()[1:] {
				key := strings.TrimPrefix(key.(string), "tc:test:")
				g.with[key] = len(cmd.Args()) - 1
				isLate = isLate || name == "mget" && key == g.slow
			}
		}
		g.mu.Unlock()
		if cmd.Name() == "get" {
			<-gets
		}
		if isLate {
			<-g.late
		}
		return next(ctx, cmd)
	}
}

// readAll reads all keys at the same time, after four others that occupy the senders, and returns with how many others each was read.
func (g *gatekeeper) readAll(t *testing.T, c *tiered.Cache[string], keys []string) map[string]int {
	t.Helper()
	time.Sleep(2 * time.Millisecond) // LocalTTL: nothing is in the local tier any more
	gets := make(chan struct{})
	g.mu.Lock()
	g.gets, g.with = gets, make(map[string]int)
	g.mu.Unlock()
	read := func(ctx context.Context, key string) (string, error) { return c.Get(ctx, key) }
	var all []*call
	for i := range 4 { // each alone
		key := fmt.Sprint("first", i)
		all = append(all, begun(func() (string, error) { return read(t.Context(), key) }))
		waitFor(t, func() bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.with[key] > 0
		})
	}
	all = append(all, beginAll(t, len(keys), func(ctx context.Context, i int) (string, error) { return read(ctx, keys[i]) })...)
	close(gets)
	for _, cl := range all {
		_, _ = cl.wait(t)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.with) // a probe of the breaker's may still write to it
}

// A value that is long, or keeps the others waiting, is read alone the next time.
func TestReadsThatHoldOthersUp(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	g := &gatekeeper{gets: make(chan struct{}), late: make(chan struct{}), with: make(map[string]int)}
	close(g.gets)
	client := s.Client(t)
	client.AddHook(g)
	o := quiet
	o.Timeout = time.Second
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, o), Policy: tiered.Policy{LocalTTL: time.Millisecond}})
	var keys []string
	for i := range 30 {
		keys = append(keys, fmt.Sprint("k", i))
		set(t, c, keys[i], "v")
	}
	set(t, c, "k7", strings.Repeat("v", 100_000))
	if with := g.readAll(t, c, keys); with["k7"] < 2 || with["k8"] < 2 {
		t.Fatalf("%d and %d keys were read together", with["k7"], with["k8"])
	}
	if with := g.readAll(t, c, keys); with["k7"] != 1 || with["k8"] < 2 {
		t.Errorf("a long value was read with %d others, a short one with %d", with["k7"]-1, with["k8"]-1)
	}
	g.slow = "k9"
	waitFor(t, func() bool { return g.readAll(t, c, keys)["k9"] > 1 }) // its caller may come so late that it is alone
	close(g.late)
	waitFor(t, func() bool { return g.readAll(t, c, keys)["k9"] == 1 }) // the command that was late is back
}
