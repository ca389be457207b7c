package tiered_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// asked is a go-redis hook that counts the commands for keys of the cache "test", and so neither canaries nor probes.
type asked struct {
	n      atomic.Int64
	prefix string // of the keys; "": all
}

func (a *asked) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *asked) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		a.count(cmd)
		return next(ctx, cmd)
	}
}

func (a *asked) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			a.count(cmd)
		}
		return next(ctx, cmds)
	}
}

func (a *asked) count(cmd redis.Cmder) {
	for _, arg := range cmd.Args() {
		if s, ok := arg.(string); ok && strings.HasPrefix(s, cmp.Or(a.prefix, "tc:test")) {
			a.n.Add(1)
			return
		}
	}
}

// switches are what Trace.Breaker was told.
type switches struct {
	mu     sync.Mutex
	told   []string
	causes []error
}

func (s *switches) trace() *tiered.Trace {
	return &tiered.Trace{Breaker: func(addr string, cause error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		state := " closed"
		if cause != nil {
			state = " open"
		}
		s.told, s.causes = append(s.told, addr+state), append(s.causes, cause)
	}}
}

// alternates checks that the server's breaker opened and closed in turn, and how often all of them opened.
func (s *switches) alternates(t *testing.T, addr string, opened uint64) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var open, other int
	for i, state := range s.told {
		switch {
		case !strings.HasPrefix(state, addr+" "):
			t.Logf("%s: %v", state, s.causes[i]) // a slow machine
			other++
		case state != addr+[]string{" open", " closed"}[open%2]:
			t.Errorf("told %d: %s (%v)", i, state, s.causes[i])
		default:
			open++
		}
	}
	if open == 0 || open%2 != 0 || uint64(open+other) != 2*opened {
		t.Errorf("opened %d times, told %v", opened, s.told)
	}
}

// quickToGiveUp are options under which a Redis that hangs is soon given up by the calls, and not by a canary before.
func quickToGiveUp(mode tiered.Invalidation) tiered.RedisOptions {
	o := lively(mode)
	o.Heartbeat, o.Timeout = 2*time.Second, 250*time.Millisecond
	return o
}

// Where Redis doesn't answer a few calls wait for it, and then none, until it is back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	cases := &atOnce{t: t}
	defer cases.wait()
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	for fault, f := range map[string]struct{ breaks, heals func(s *redistest.Server) }{
		"frozen": {(*redistest.Server).Freeze, (*redistest.Server).Thaw},
		"killed": {(*redistest.Server).Kill, (*redistest.Server).Restart},
	} {
		for mode, how := range modes {
			cases.run(fault+"/"+mode, func(t *testing.T) {
				s := redistest.Start(t)
				var told switches
				var asks asked
				client := s.Client(t)
				client.AddHook(&asks)
				r := openedRedis(t, client, quickToGiveUp(how))
				c := newCache(t, tiered.Options[string]{Redis: r, Trace: told.trace()})
				waitFor(t, func() bool { return r.Status() == nil && c.Set(t.Context(), "k", "v") == nil })
				before := c.Stats()
				f.breaks(s)
				for i := 0; !c.Stats().BreakerOpen; i++ {
					if i == 3 {
						t.Fatal("three calls weren't answered")
					}
					if _, err := c.Get(t.Context(), fmt.Sprint(i)); err != tiered.ErrNotFound {
						t.Errorf("a read: %v", err)
					}
				}
				spared(t, c, &asks, before)
				if err := r.Status(); err == nil || !strings.Contains(err.Error(), s.Addr()+": not asked for") {
					t.Errorf("status: %v", err)
				}
				if err := r.Ping(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "tiered: redis: ping: ") {
					t.Errorf("ping: %v", err)
				}
				f.heals(s)
				waitFor(t, func() bool { return r.Ping(t.Context()) == nil })
				waitFor(t, func() bool { return r.Status() == nil })
				if err := c.Set(t.Context(), "k", "new"); err != nil {
					t.Error(err)
				}
				other := newProcess(t, s, tiered.RedisOptions{Invalidation: how}, longLived)
				if v, err := other.Get(t.Context(), "k"); v != "new" || err != nil {
					t.Errorf("%q, %v", v, err)
				}
				if how != tiered.None {
					keep(t, c, "k", "new") // verified
				}
				if n := c.Stats().Opened - before.Opened; n != 1 {
					t.Logf("it opened %d times", n)
				}
				told.alternates(t, s.Addr(), c.Stats().Opened)
			})
		}
	}
}

// spared checks that nothing asks Redis.
func spared(t *testing.T, c *tiered.Cache[string], asks *asked, before tiered.Stats) {
	t.Helper()
	waitFor(t, func() bool { return c.Stats().Opened > before.Opened }) // it is counted after the breaker opened
	open, n := c.Stats(), asks.n.Load()
	for i := range 50 {
		key := fmt.Sprint("key", i)
		if v, err := c.GetOrLoad(t.Context(), key, value("v")); v != "v" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		if v, err := c.Get(t.Context(), key); v != "v" || err != nil {
			t.Errorf("what was loaded: %q, %v", v, err)
		}
		if _, err := c.Get(t.Context(), "absent"+key); err != tiered.ErrNotFound {
			t.Error(err)
		}
	}
	for name, err := range map[string]error{
		"Set":            c.Set(t.Context(), "k", "w"),
		"Delete":         c.Delete(t.Context(), "l", "m"),
		"InvalidateTags": c.InvalidateTags(t.Context(), "tag"),
		"Clear":          c.Clear(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), "isn't asked") || !errors.Is(err, tiered.ErrQueued) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := asks.n.Load(); got != n {
		t.Errorf("Redis was asked %d times", got-n)
	}
	s := c.Stats()
	if s.RedisErrors != open.RedisErrors || s.Spared < open.Spared+100 || s.Opened != before.Opened+1 || !s.BreakerOpen {
		t.Errorf("stats %+v", s)
	}
}

// A caller that has no time to wait says nothing of Redis.
func TestImpatientCallers(t *testing.T) {
	t.Parallel()
	for name, heeding := range map[string]bool{"contexts heeded": true, "contexts not heeded": false} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			client := redis.NewClient(&redis.Options{Addr: s.Addr(), ContextTimeoutEnabled: heeding})
			t.Cleanup(func() { _ = client.Close() })
			r := openedRedis(t, client, tiered.RedisOptions{Heartbeat: time.Hour, Timeout: 5 * time.Second})
			c := newCache(t, tiered.Options[string]{Redis: r})
			s.Freeze()
			defer s.Thaw()
			for i := range 6 {
				ctx, leave := context.WithTimeout(t.Context(), 10*time.Millisecond)
				if i%2 == 0 {
					leave()
				}
				if _, err := c.Get(ctx, fmt.Sprint(i)); err == nil || ctx.Err() == nil {
					t.Errorf("%v, %v", err, ctx.Err())
				}
				leave()
			}
			if s := c.Stats(); s.BreakerOpen || s.Opened != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// A server that replies to everything that it is loading its data may as well not be there. Any other error is an answer, after
// which no unverified value is served.
func TestServerThatOnlyRefuses(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"MOVED 1 127.0.0.1:1", "LOADING Redis is loading the dataset in memory", "ERR no"} {
		for mode, how := range modes {
			code, _, _ := strings.Cut(reply, " ")
			t.Run(code+"/"+mode, func(t *testing.T) {
				s := startErrorProxy(t, redistest.Start(t).Addr())
				client := redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1})
				t.Cleanup(func() { _ = client.Close() })
				r := openedRedis(t, client, lively(how))
				c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
				waitFor(t, func() bool { return r.Status() == nil && c.Set(t.Context(), "k", "v") == nil })
				if how != tiered.None {
					keep(t, c, "k", "v")
				} else if v, err := c.Get(t.Context(), "k"); v != "v" || err != nil {
					t.Fatalf("%q, %v", v, err)
				}
				s.replies(reply)
				for range 3 {
					_, _ = c.Get(t.Context(), "absent")
				}
				if code == "LOADING" { // a reply from before may still come in between, and count
					waitFor(t, func() bool { _, _ = c.Get(t.Context(), "absent"); return c.Stats().BreakerOpen })
				} else if c.Stats().BreakerOpen {
					t.Error("the breaker is open")
				}
				start := time.Now()
				waitFor(t, func() bool {
					if code != "LOADING" {
						v, err := c.GetOrLoad(t.Context(), "k", value("loaded"))
						if err != nil || c.Stats().Unverified > 0 {
							t.Fatalf("%v, %+v", err, c.Stats())
						}
						return v == "loaded"
					}
					if v, err := c.GetOrLoad(t.Context(), "k", noLoad[string](t)); v != "v" || err != nil {
						t.Fatalf("%q, %v", v, err)
					}
					return c.Stats().Unverified > 0 || how == tiered.None && time.Since(start) > time.Second
				})
				s.replies("")
				waitFor(t, func() bool { return r.Status() == nil })
				if err := c.Set(t.Context(), "k", "new"); err != nil || c.Stats().BreakerOpen {
					t.Errorf("%v, %+v", err, c.Stats())
				}
			})
		}
	}
}

// Of a server that comes and goes the log doesn't tell each time, but Trace does.
func TestFlapping(t *testing.T) {
	t.Parallel()
	cases := &atOnce{t: t}
	defer cases.wait()
	for mode, how := range modes {
		cases.run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			var mu sync.Mutex
			var log bytes.Buffer
			o := lively(how)
			o.Logger = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
			r := newRedis(t, s, o)
			var told switches
			c := newCache(t, tiered.Options[string]{Redis: r, Trace: told.trace()})
			waitFor(t, func() bool { return r.Status() == nil })
			start := time.Now()
			for range 4 {
				s.Freeze()
				waitFor(t, func() bool { _, _ = c.Get(t.Context(), "k"); return c.Stats().BreakerOpen })
				s.Thaw()
				waitFor(t, func() bool { return r.Status() == nil })
			}
			pairs := 1 + int(time.Since(start)/(10*time.Second))
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			told.alternates(t, s.Addr(), c.Stats().Opened)
			mu.Lock()
			defer mu.Unlock()
			for _, level := range []string{"level=WARN", "level=INFO"} {
				if n := strings.Count(log.String(), level); n > 2*pairs || n == 0 || c.Stats().Opened < 4 { // of two kinds
					t.Errorf("%d times %s:\n%s", n, level, &log)
				}
			}
		})
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func TestPing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRedis(t, s, tiered.RedisOptions{})
	if err := r.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	s.Freeze()
	defer s.Thaw()
	ctx, leave := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer leave()
	if err := r.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	s.Thaw()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Ping(t.Context()); !errors.Is(err, tiered.ErrClosed) {
		t.Error(err)
	}
}
