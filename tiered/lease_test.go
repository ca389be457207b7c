package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// newProcess makes a cache "test" with a second tier of its own, as another process has it.
func newProcess(t testing.TB, s *redistest.Server, o tiered.RedisOptions, p tiered.Policy) *tiered.Cache[string] {
	t.Helper()
	return newCache(t, tiered.Options[string]{Redis: newRedis(t, s, o), Policy: p})
}

// twoProcesses are two on one server.
func twoProcesses(t testing.TB, mode tiered.Invalidation) (s *redistest.Server, a, b *tiered.Cache[string]) {
	t.Helper()
	s = redistest.Start(t)
	o := tiered.RedisOptions{Invalidation: mode}
	return s, newProcess(t, s, o, tiered.Policy{}), newProcess(t, s, o, tiered.Policy{})
}

// caughtUp returns when b has heard of all that a has done.
func caughtUp(t testing.TB, a, b *tiered.Cache[string]) {
	t.Helper()
	for _, v := range []string{"1", "2"} {
		if err := a.Set(t.Context(), "marker", v); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool {
			e, err := b.Lookup(t.Context(), "marker")
			return err == nil && e.Value == v && e.Tier == tiered.Local
		})
	}
}

// modes are the ways to hear of changes.
var modes = map[string]tiered.Invalidation{"tracking": tiered.Tracking, "keys": tiered.TrackingKeys, "pubsub": tiered.PubSub, "none": tiered.None}

// calls is how often the server ran a command, in scripts or not.
func calls(s *redistest.Server, command string) int { return s.Calls()[command] }

// sent counts the commands that f has Redis execute, in scripts too, but for those that begin a connection.
func sent(s *redistest.Server, f func()) map[string]int {
	before := s.Calls()
	f()
	n := s.Calls()
	for name := range n {
		if n[name] -= before[name]; n[name] == 0 || name == "info" || name == "hello" || strings.HasPrefix(name, "client|") {
			delete(n, name)
		}
	}
	return n
}

// leased reports whether a process loads the key.
func leased(s *redistest.Server, key string) bool {
	v, _ := s.Do("GET", "tc:test:"+key).(string)
	return isLease(v)
}

func isLease(v string) bool { return strings.HasPrefix(v, "\xc1tl") }

// stored is the value that Redis has for the key.
func stored(s *redistest.Server, key string) string {
	v, _ := s.Do("GET", "tc:test:"+key).(string)
	if !strings.HasPrefix(v, "\xc1tc") {
		return v
	}
	v = strings.TrimSuffix(v, `"`) // JSON, after a header that may hold any byte
	return v[strings.LastIndexByte(v, '"')+1:]
}

// call is a GetOrLoad under way.
type call struct {
	value string
	err   error
	done  chan struct{}
}

func begin(t testing.TB, c *tiered.Cache[string], key string, load tiered.Loader[string]) *call {
	return begun(func() (string, error) { return c.GetOrLoad(t.Context(), key, load) })
}

func begun(f func() (string, error)) *call {
	cl := &call{done: make(chan struct{})}
	go func() {
		defer close(cl.done)
		defer func() {
			if p := recover(); p != nil {
				cl.err = fmt.Errorf("panic: %v", p)
			}
		}()
		cl.value, cl.err = f()
	}()
	return cl
}

func (cl *call) wait(t testing.TB) (string, error) {
	t.Helper()
	select {
	case <-cl.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the call took over 20 s")
	}
	return cl.value, cl.err
}

func (cl *call) gets(t testing.TB, want string) {
	t.Helper()
	if v, err := cl.wait(t); v != want || err != nil {
		t.Errorf("got %q, %v; want %q", v, err, want)
	}
}

// begin begins a load that runs when it returns.
func (g *gate) begin(t testing.TB, c *tiered.Cache[string], key string) *call {
	t.Helper()
	before := g.loads.Load()
	cl := begin(t, c, key, g.load)
	waitFor(t, func() bool { return g.loads.Load() > before })
	return cl
}

func TestOneLoadOfTwoProcesses(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			s, a, b := twoProcesses(t, mode)
			g := newGate()
			first := g.begin(t, a, "k")
			gets := calls(s, "get")
			second := begin(t, b, "k", noLoad[string](t))
			waitFor(t, func() bool { return calls(s, "get") > gets }) // it has seen the lease
			close(g.open)
			first.gets(t, "load 1")
			second.gets(t, "load 1")
			if a.Stats().Loads != 1 || b.Stats().Loads != 0 || b.Stats().RemoteHits != 1 {
				t.Errorf("stats %+v, %+v", a.Stats(), b.Stats())
			}
		})
	}
}

// A process that waits for another one's load is woken by the stored value: it doesn't ask again and again.
func TestWaiterIsWoken(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tracking", "pubsub"} {
		t.Run(name, func(t *testing.T) {
			s, a, b := twoProcesses(t, modes[name])
			caughtUp(t, a, b) // so that the epoch and the tags are known
			loading, release := make(chan struct{}), make(chan struct{})
			heard := b.Stats().Invalidations
			first := begin(t, a, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
				close(loading)
				<-release
				return "v", nil
			})
			<-loading
			if name == "tracking" { // else a report of the lease that comes late ends the joining
				waitFor(t, func() bool { return b.Stats().Invalidations > heard })
			}
			s.Do("CONFIG", "RESETSTAT")
			var all []*call
			for range 20 {
				all = append(all, begin(t, b, "k", noLoad[string](t)))
			}
			waitFor(t, func() bool { return b.Stats().Collapsed == 19 && calls(s, "get") > 0 }) // the lease is seen
			close(release)
			first.gets(t, "v")
			for _, cl := range all {
				cl.gets(t, "v")
			}
			// Of a waiter: one that sees the lease, one that sees the value, one more if it began to wait as a message came.
			if n := calls(s, "get"); n < 2 || n > 3 {
				t.Errorf("%d GETs", n)
			}
		})
	}
}

func TestHitIsOneGet(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			o := tiered.RedisOptions{Invalidation: mode, Heartbeat: time.Minute} // no canaries between the commands that are counted
			a, b := newProcess(t, s, o, tiered.Policy{}), newProcess(t, s, o, tiered.Policy{})
			if err := a.Set(t.Context(), "k", "v"); err != nil {
				t.Fatal(err)
			}
			if mode == tiered.None {
				_ = b.Set(t.Context(), "other", "v")
			} else {
				caughtUp(t, a, b) // so that the epoch and the tags are known
			}
			s.Do("CONFIG", "RESETSTAT")
			if v, err := b.GetOrLoad(t.Context(), "k", noLoad[string](t)); v != "v" || err != nil {
				t.Fatalf("%q, %v", v, err)
			}
			if n := calls(s, "get"); n != 1 {
				t.Errorf("%d GETs", n)
			}
			for _, command := range []string{"eval", "pttl", "mget", "exists"} {
				if n := calls(s, command); n != 0 {
					t.Errorf("%d times %s", n, command)
				}
			}
		})
	}
}

// However a load ends without a value to store, others needn't wait until its lease runs out.
func TestFailedLoadReleasesItsLease(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, end := range []struct {
		name   string
		policy tiered.Policy
		load   func(ctx context.Context, e *tiered.Entry[string]) (string, error)
		close  bool
	}{
		{name: "error", load: func(context.Context, *tiered.Entry[string]) (string, error) { return "", broken }},
		{name: "panic", load: func(context.Context, *tiered.Entry[string]) (string, error) { panic(broken) }},
		{name: "not found", load: func(context.Context, *tiered.Entry[string]) (string, error) { return "", tiered.ErrNotFound }},
		{name: "goexit", load: func(context.Context, *tiered.Entry[string]) (string, error) { runtime.Goexit(); return "", nil }},
		{name: "TTL 0", load: func(_ context.Context, e *tiered.Entry[string]) (string, error) { e.Policy.TTL = 0; return "v", nil }},
		{name: "timeout", policy: tiered.Policy{LoadTimeout: time.Second}, load: func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}},
		{name: "close", close: true, load: func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			s := redistest.Start(t)
			a := newProcess(t, s, tiered.RedisOptions{}, end.policy)
			b := newProcess(t, s, tiered.RedisOptions{}, tiered.Policy{})
			loading, fail := make(chan struct{}), make(chan struct{})
			first := begin(t, a, "k", func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
				close(loading)
				<-fail
				return end.load(ctx, e)
			})
			<-loading
			if !leased(s, "k") {
				t.Error("no lease while the load runs")
			}
			gets, dels := calls(s, "get"), calls(s, "del")
			second := begin(t, b, "k", value("b"))
			waitFor(t, func() bool { return calls(s, "get") > gets })
			start := time.Now()
			close(fail)
			if end.close {
				if err := a.Close(); err != nil {
					t.Error(err)
				}
			}
			second.gets(t, "b")
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("the other process waited %v", d)
			}
			if n := calls(s, "del") - dels; n != 1 {
				t.Errorf("%d times DEL", n) // none: the lease ran out
			}
			if _, err := first.wait(t); (err == nil) != (end.name == "TTL 0") {
				t.Error(err)
			}
			if v := stored(s, "k"); v != "b" {
				t.Errorf("Redis has %q", v)
			}
		})
	}
}

// A remembered absence takes the place of the lease.
func TestAbsenceEndsTheWait(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	policy := tiered.Policy{NotFoundTTL: time.Minute}
	a, b := newProcess(t, s, tiered.RedisOptions{}, policy), newProcess(t, s, tiered.RedisOptions{}, policy)
	loading, end := make(chan struct{}), make(chan struct{})
	first := begin(t, a, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
		close(loading)
		<-end
		return "", tiered.ErrNotFound
	})
	<-loading
	second := begin(t, b, "k", noLoad[string](t))
	close(end)
	for _, cl := range []*call{first, second} {
		if _, err := cl.wait(t); err != tiered.ErrNotFound {
			t.Error(err)
		}
	}
}

// The callers of a load may all leave: the other process gets its value all the same.
func TestAbandonedLoadIsStored(t *testing.T) {
	t.Parallel()
	s, a, b := twoProcesses(t, tiered.Tracking)
	g := newGate()
	ctx, leave := context.WithCancel(t.Context())
	first := begun(func() (string, error) { return a.GetOrLoad(ctx, "k", g.load) })
	waitFor(t, func() bool { return g.loads.Load() == 1 })
	second := begin(t, b, "k", noLoad[string](t))
	leave()
	if _, err := first.wait(t); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(g.open)
	second.gets(t, "load 1")
	if v := stored(s, "k"); v != "load 1" {
		t.Errorf("Redis has %q", v)
	}
}

// Without Redis each process loads by itself, and nothing of it comes to Redis later.
func TestLoadsWithoutRedis(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	s, a, b := twoProcesses(t, tiered.Tracking)
	s.Kill()
	for _, c := range []*tiered.Cache[string]{a, b} {
		if v, err := c.GetOrLoad(t.Context(), "k", value("v")); v != "v" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		if v, err := c.GetOrLoad(t.Context(), "k", noLoad[string](t)); v != "v" || err != nil {
			t.Errorf("again: %q, %v", v, err)
		}
	}
	s.Restart()
	waitFor(t, func() bool { return a.Set(t.Context(), "other", "v") == nil && b.Set(t.Context(), "other", "v") == nil })
	if v := s.Do("EXISTS", "tc:test:k"); v != int64(0) {
		t.Errorf("Redis has %q", stored(s, "k"))
	}
}

// Redis dies during a load: its callers get the value.
func TestRedisDiesDuringALoad(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	s, a, b := twoProcesses(t, tiered.Tracking)
	g := newGate()
	first := g.begin(t, a, "k")
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if v, err := b.GetOrLoad(t.Context(), "k", value("b")); v != "b" && v != "load 1" || err != nil {
			t.Errorf("the other process: %q, %v", v, err)
		}
	})
	s.Kill()
	waiting.Wait() // it doesn't wait for a lease that nobody sees any more
	close(g.open)
	first.gets(t, "load 1")
}
