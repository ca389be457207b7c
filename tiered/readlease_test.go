package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// expectMisses reads keys that are nowhere, with names of their own, until the cache expects that of others.
func expectMisses(t testing.TB, c *tiered.Cache[string], name string) {
	t.Helper()
	for i := range 20 {
		gets(t, c, fmt.Sprint(name, i), value("v"), "v")
	}
}

// isReadLease reports whether a command reads a key and takes its lease.
func isReadLease(words []string) bool {
	return strings.EqualFold(words[0], "set") && slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, "get") })
}

// Where reads find nothing, one command reads a key and takes the lease of its load, in every mode; a trace has it as a read.
func TestMissTakesTwoCommands(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			gets(t, newProcess(t, s, quiet, tiered.Policy{}), "first", value("v"), "v") // makes the epoch, which is reported to its maker
			r := &recorder{t: t}
			o := tiered.RedisOptions{Invalidation: mode, Heartbeat: time.Hour, Timeout: 10 * time.Second}
			c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, o), Trace: r.trace()})
			expectMisses(t, c, "absent")
			before := c.Stats()
			r.reset()
			got := sent(s, func() { gets(t, c, "k", value("v"), "v") })
			// What the store does in Redis counts there too: GETRANGE, which also asks whether the value stays local, and with PubSub PUBLISH.
			delete(got, "getrange")
			delete(got, "publish")
			if want := map[string]int{"set": 1 + 1, "eval": 1}; !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if want := "[+get -get +load -load +store -store]"; r.order() != want {
				t.Errorf("got %v, want %v", r.order(), want)
			}
			if get := r.of("redis", nil)[0].redis; get.Command != "set" || get.Keys != 1 || get.Received != 0 || get.Err != nil {
				t.Errorf("%+v", get)
			}
			if st := c.Stats(); st.Misses != before.Misses+1 || st.Loads != before.Loads+1 || st.RedisErrors != 0 {
				t.Errorf("%+v, before %+v", st, before)
			}
			if got := stored(s, "k"); got != "v" {
				t.Errorf("Redis has %q", got)
			}
		})
	}
}

// Whatever a key holds where nothing was expected is treated as by a read, and stays.
func TestReadLeaseFindsSomething(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} { // which have forms of their own for nothing
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			t.Parallel()
			testReadLeaseFindsSomething(t, protocol)
		})
	}
}

func testReadLeaseFindsSomething(t *testing.T, protocol int) {
	s := redistest.Start(t)
	policy := tiered.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour}
	other := newProcess(t, s, quiet, policy)
	brieflyFresh := other.With(func(p *tiered.Policy) { *p = brief(*p) })
	for i, key := range []string{"fresh", "stale", "tagged", "absence"} {
		c := []*tiered.Cache[string]{other, brieflyFresh, other, other}[i]
		_, err := c.GetOrLoad(t.Context(), key, func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			switch key {
			case "tagged":
				e.Tags = []string{"tag"}
			case "absence":
				e.Policy.NotFoundTTL = time.Hour
				return "", tiered.ErrNotFound
			}
			return "old", nil
		})
		if err != nil && key != "absence" {
			t.Fatal(err)
		}
	}
	isStale(t, newProcess(t, s, quiet, policy), "stale")
	s.Do("SET", "tc:test:foreign", `"old"`)
	s.Do("RPUSH", "tc:test:list", "element")
	s.Do("SET", "tc:test:unreadable", "{")

	client := redis.NewClient(&redis.Options{Addr: s.Addr(), Protocol: protocol})
	t.Cleanup(func() { _ = client.Close() })
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, quiet), Policy: policy})
	expectMisses(t, c, "absent")
	before := calls(s, "get")
	for _, key := range []string{"fresh", "tagged", "foreign"} {
		gets(t, c, key, value("new"), "old")
		expectMisses(t, c, "after "+key)
	}
	if _, err := c.GetOrLoad(t.Context(), "absence", noLoad[string](t)); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	expectMisses(t, c, "after absence")
	if n := calls(s, "get") - before; n > 1 { // of the tag's record
		t.Errorf("%d GETs", n)
	}
	gets(t, c, "stale", value("new"), "old")
	waitFor(t, func() bool { return stored(s, "stale") == "new" }) // by a load in the background
	expectMisses(t, c, "after stale")
	for _, key := range []string{"list", "unreadable"} {
		gets(t, c, key, value("new"), "new")
		expectMisses(t, c, "after "+key)
	}
	if v, ok := s.Do("LRANGE", "tc:test:list", "0", "-1").([]any); !ok || len(v) != 1 {
		t.Errorf("the list is %v", v)
	}
	if got := stored(s, "unreadable"); got != "new" {
		t.Errorf("Redis has %q in place of what can't be read", got)
	}
}

// A server that has no such command is asked once. One that refuses it, since its memory is full or the user has lost a right, still has
// its values read.
func TestReadLeaseIsRefused(t *testing.T) {
	t.Parallel()
	for _, of := range []struct {
		reply string
		last  bool
	}{
		{"ERR syntax error", true},
		{"NOPERM this user has no permissions to access one of the keys used as arguments", false},
		{"OOM command not allowed when used memory > 'maxmemory'.", false},
		{"READONLY You can't write against a read only replica.", false},
	} {
		code, _, _ := strings.Cut(of.reply, " ")
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			set(t, newProcess(t, s, quiet, tiered.Policy{}), "k", "stored")
			p := faultproxy.Start(t, s.Addr())
			client := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1})
			t.Cleanup(func() { _ = client.Close() })
			var log lines
			o := quiet
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			r := openedRedis(t, client, o)
			c := newCache(t, tiered.Options[string]{Redis: r})
			expectMisses(t, c, "absent")

			var refused atomic.Int32
			p.Replace(func(words []string) []string {
				if !isReadLease(words) {
					return nil
				}
				refused.Add(1)
				return []string{"EVAL", "return redis.error_reply(ARGV[1])", "0", of.reply}
			})
			gets(t, c, "k", noLoad[string](t), "stored")
			for i := range 10 {
				key := fmt.Sprint("missing", i)
				gets(t, c, key, value("loaded"), "loaded")
				if got := stored(s, key); got != "loaded" {
					t.Errorf("Redis has %q", got)
				}
			}
			if n := refused.Load(); n < 1 || of.last != (n == 1) {
				t.Errorf("it was refused %d times", n)
			}
			if err := r.Status(); err != nil || strings.Contains(log.String(), "refuse") || c.Stats().RedisErrors > 0 {
				t.Errorf("%v, %+v, log:\n%v", err, c.Stats(), &log)
			}
		})
	}
}

// Two processes that expect nothing load a key once.
func TestReadLeaseOfAnother(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, a, b := twoProcesses(t, mode)
			expectMisses(t, a, "a")
			expectMisses(t, b, "b")
			g := newGate()
			first := g.begin(t, a, "k")
			was := calls(s, "set")
			second := begin(t, b, "k", g.load)
			waitFor(t, func() bool { return calls(s, "set") > was })
			close(g.open)
			first.gets(t, "load 1")
			second.gets(t, "load 1")
			if n := g.loads.Load(); n != 1 || b.Stats().RemoteHits == 0 {
				t.Errorf("%d loads, %+v", n, b.Stats())
			}
		})
	}
}

// afterEach is a go-redis hook that is called after each command.
type afterEach func(redis.Cmder)

func (h afterEach) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h afterEach) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h afterEach) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		h(cmd)
		return err
	}
}

// holdsReadLease returns a hook that holds back the reply of a read of the key that may take a lease, and the channels to wait for that
// and to release it.
func holdsReadLease(key string) (h afterEach, there, release chan struct{}) {
	there, release = make(chan struct{}), make(chan struct{})
	return func(cmd redis.Cmder) {
		if args := cmd.Args(); len(args) > 5 && args[1] == "tc:test:"+key && args[len(args)-1] == "get" {
			there <- struct{}{}
			<-release
		}
	}, there, release
}

// A change that is reported while the reply is under way isn't taken for that of a lease: who calls after it gets the new value.
func TestReadLeaseIsOvertaken(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	h, there, release := holdsReadLease("k")
	client.AddHook(h)
	o := tiered.RedisOptions{Heartbeat: time.Hour, Timeout: 10 * time.Second}
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, o)})
	other := newProcess(t, s, o, tiered.Policy{})
	set(t, other, "k", "old")
	caughtUp(t, other, c)
	expectMisses(t, c, "absent")

	first := begin(t, c, "k", noLoad[string](t))
	<-there
	set(t, other, "k", "new")
	caughtUp(t, other, c)
	second := begin(t, c, "k", noLoad[string](t))
	close(release)
	first.gets(t, "new")
	second.gets(t, "new")
}

// A reply that is lost doesn't leave the lease to others, who would wait until it has run out.
func TestReadLeaseWithoutAReply(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	h, there, release := holdsReadLease("k")
	client.AddHook(h)
	o := quiet
	o.Timeout = 300 * time.Millisecond
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, o)})
	expectMisses(t, c, "absent")
	cl := begin(t, c, "k", value("v"))
	<-there
	cl.gets(t, "v")
	close(release)
	waitFor(t, func() bool { return !leased(s, "k") })
}

// In a Cluster a key is read and leased where it is.
func TestMissInAClusterTakesTwoCommands(t *testing.T) {
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	t.Parallel()
	cluster := redistest.StartCluster(t)
	client := cluster.Client(t)
	var reads, leases atomic.Int32
	client.OnNewNode(func(node *redis.Client) {
		node.AddHook(afterEach(func(cmd redis.Cmder) {
			switch args := cmd.Args(); {
			case len(args) < 2, !strings.HasPrefix(fmt.Sprint(args[1]), "tc:test:k"):
			case cmd.Name() == "get", cmd.Name() == "mget":
				reads.Add(1)
			case args[len(args)-1] == "get":
				leases.Add(1)
			}
		}))
	})
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, tiered.RedisOptions{Timeout: 10 * time.Second})})
	expectMisses(t, c, "absent")
	const n = 20
	for i := range n {
		key := fmt.Sprint("k", i)
		gets(t, c, key, value("v"), "v")
		if v, err := client.Get(t.Context(), "tc:test:"+key).Result(); err != nil || isLease(v) {
			t.Errorf("Redis has %q, %v", v, err)
		}
	}
	if reads.Load() > n || leases.Load() != n { // the reads are the test's own
		t.Errorf("%d reads, %d leases", reads.Load(), leases.Load())
	}
}
