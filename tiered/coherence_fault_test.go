package tiered_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// lively are options under which a Redis that is gone is soon noticed.
func lively(mode tiered.Invalidation) tiered.RedisOptions {
	return tiered.RedisOptions{
		Invalidation: mode,
		Heartbeat:    100 * time.Millisecond,
		Timeout:      400 * time.Millisecond,
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// behind makes a process whose connections all go through a proxy.
func behind(t *testing.T, s *redistest.Server, o tiered.RedisOptions) (*faultproxy.Proxy, *tiered.Redis, *tiered.Cache[string]) {
	t.Helper()
	p := faultproxy.Start(t, s.Addr())
	client := redis.NewClient(&redis.Options{Addr: p.Addr()})
	r, err := tiered.NewRedis(client, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), client.Close()); err != nil {
			t.Error(err)
		}
	})
	waitFor(t, func() bool { return r.Status() == nil })
	return p, r, newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
}

var listeningModes = map[string]tiered.Invalidation{"tracking": tiered.Tracking, "keys": tiered.TrackingKeys, "pubsub": tiered.PubSub}

// A change that is made while a process can't hear isn't missed.
func TestChangeWhileCutOff(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ breaks, heals func(p *faultproxy.Proxy) }{
		"refused": {
			func(p *faultproxy.Proxy) { p.Refuse(true); p.Cut() },
			func(p *faultproxy.Proxy) { p.Refuse(false) },
		},
		"cut":       {func(p *faultproxy.Proxy) { p.Cut() }, func(*faultproxy.Proxy) {}},
		"half-open": {func(p *faultproxy.Proxy) { p.HalfOpen() }, func(*faultproxy.Proxy) {}},
		"stalled":   {func(p *faultproxy.Proxy) { p.StallReplies(true) }, func(p *faultproxy.Proxy) { p.StallReplies(false) }},
	} {
		for mode, how := range listeningModes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				s := redistest.Start(t)
				p, r, b := behind(t, s, lively(how))
				a := newProcess(t, s, tiered.RedisOptions{Invalidation: how}, longLived)
				if err := errors.Join(a.Set(t.Context(), "k", "old"), a.Set(t.Context(), "tagged", "old", "tag")); err != nil {
					t.Fatal(err)
				}
				waitFor(t, func() bool { v, _ := b.Get(t.Context(), "k"); return v == "old" })
				waitFor(t, func() bool { v, _ := b.Get(t.Context(), "tagged"); return v == "old" })
				fault.breaks(p)
				if err := errors.Join(a.Set(t.Context(), "k", "new"), a.InvalidateTags(t.Context(), "tag")); err != nil {
					t.Fatal(err)
				}
				fault.heals(p)
				follows(t, b, "k", "new")
				follows(t, b, "tagged", "")
				waitFor(t, func() bool { return r.Status() == nil })
				for _, key := range []string{"k", "tagged"} {
					if v, _ := b.Get(t.Context(), key); v == "old" {
						t.Errorf("%s: the old value is back", key)
					}
				}
			})
		}
	}
}

// A change right behind the end of the connection that would have told of it.
func TestChangeAsTheStreamEnds(t *testing.T) {
	t.Parallel()
	for mode, how := range listeningModes {
		t.Run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			o := tiered.RedisOptions{Invalidation: how, Heartbeat: 100 * time.Millisecond, Logger: lively(how).Logger}
			a, b := newProcess(t, s, o, longLived), newProcess(t, s, o, longLived)
			client := s.Client(t)
			for _, want := range []string{"1", "2", "3", "4", "5"} {
				if err := a.Set(t.Context(), "k", want); err != nil {
					t.Fatal(err)
				}
				follows(t, b, "k", want)
				changed := `"` + want + ` changed"`
				_, err := client.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
					p.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
					p.Set(t.Context(), "tc:test:k", changed, 0)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				follows(t, b, "k", want+" changed")
			}
		})
	}
}

// When Redis is gone the local tier goes on serving; a strict one doesn't. When it is back nothing older is served.
func TestRedisGone(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	for name, strict := range map[string]bool{"strict": true, "not strict": false} {
		for mode, how := range listeningModes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				s := redistest.Start(t)
				o := lively(how)
				o.Strict = strict
				r := newRedis(t, s, o)
				c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
				waitFor(t, func() bool { return c.Set(t.Context(), "k", "old", "tag") == nil })
				if how == tiered.Tracking {
					heardOf(t, s, c) // of its own write
				}
				keep(t, c, "k", "old")
				s.Kill()
				waitFor(t, func() bool { return r.Status() != nil })
				if strict {
					follows(t, c, "k", "")
				}
				hits := c.Stats().LocalHits
				for range 20 {
					if v, err := c.Get(t.Context(), "k"); !strict && (v != "old" || err != nil) || strict && err != tiered.ErrNotFound {
						t.Fatalf("%q, %v", v, err)
					}
				}
				if n := c.Stats().LocalHits - hits; (n == 20) == strict || strict && n != 0 {
					t.Errorf("%d local hits", n)
				}
				s.Restart() // without its data
				waitFor(t, func() bool { return r.Status() == nil })
				if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
					t.Errorf("afterwards: %q, %v", v, err)
				}
				if v, err := c.GetOrLoad(t.Context(), "k", value("new")); v != "new" || err != nil {
					t.Errorf("%q, %v", v, err)
				}
			})
		}
	}
}

// A frozen Redis is silent too. What is changed when it thaws is followed.
func TestRedisFrozen(t *testing.T) {
	t.Parallel()
	for name, strict := range map[string]bool{"strict": true, "not strict": false} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			o := lively(tiered.Tracking)
			o.Strict = strict
			r := newRedis(t, s, o)
			c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
			waitFor(t, func() bool { return c.Set(t.Context(), "k", "old") == nil })
			heardOf(t, s, c) // of its own write
			keep(t, c, "k", "old")
			s.Freeze()
			changed := make(chan struct{})
			go func() { // carried out when Redis thaws
				defer close(changed)
				s.Do("SET", "tc:test:k", `"new"`)
			}()
			waitFor(t, func() bool { err := r.Status(); return err != nil && strings.Contains(err.Error(), "no invalidations") })
			for range 10 {
				if v, err := c.Get(t.Context(), "k"); !strict && (v != "old" || err != nil) || strict && err != tiered.ErrNotFound {
					t.Errorf("%q, %v", v, err)
				}
			}
			if v, err := c.GetOrLoad(t.Context(), "l", value("v")); v != "v" || err != nil {
				t.Errorf("a load: %q, %v", v, err)
			}
			s.Thaw()
			<-changed
			follows(t, c, "k", "new")
		})
	}
}

// Reads of the process that writes see its acknowledged writes; reads of another are no further behind than Heartbeat and
// Timeout, though its connections are cut again and again.
func TestBoundedStaleness(t *testing.T) {
	t.Parallel()
	for mode, how := range listeningModes {
		t.Run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			o := lively(how)
			p, _, b := behind(t, s, o)
			a := newProcess(t, s, tiered.RedisOptions{Invalidation: how}, longLived)
			type write struct {
				n  int
				at time.Time
			}
			var mu sync.Mutex
			var acked []write
			least := func(at time.Time) (n int) {
				mu.Lock()
				defer mu.Unlock()
				for _, w := range acked {
					if !w.at.After(at) {
						n = w.n
					}
				}
				return n
			}
			values := [...]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
			number := func(v string) int { return int(v[0]-'0') + 10*(len(v)-1) }
			numbered := func(n int) string { // one byte longer every ten
				v := values[n%10]
				for range n / 10 {
					v += "."
				}
				return v
			}
			ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
			defer stop()
			var wg sync.WaitGroup
			var reads atomic.Int64
			wg.Go(func() {
				for n := 1; ctx.Err() == nil; n++ {
					if err := a.Set(t.Context(), "k", numbered(n)); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					acked = append(acked, write{n, time.Now()})
					mu.Unlock()
					if v, err := a.Get(t.Context(), "k"); err != nil || number(v) < n {
						t.Errorf("the writer got %q, %v after %d", v, err, n)
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
			for range 2 {
				wg.Go(func() {
					for ctx.Err() == nil {
						unverified := b.Stats().Unverified
						want := least(time.Now().Add(-o.Heartbeat - o.Timeout))
						v, err := b.Get(t.Context(), "k")
						if b.Stats().Unverified != unverified {
							continue // on a busy machine Redis may be silent, and then there is no bound
						}
						if err == nil && number(v) < want {
							t.Errorf("got %d, which is behind %d", number(v), want)
							return
						}
						if err == nil {
							reads.Add(1)
						}
					}
				})
			}
			for ctx.Err() == nil {
				time.Sleep(200 * time.Millisecond)
				p.Cut()
			}
			wg.Wait()
			t.Logf("%d reads, %+v", reads.Load(), b.Stats())
		})
	}
}
