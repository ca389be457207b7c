package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// thrower is a go-redis hook that panics. The error that it panics with means something else where it is returned.
type thrower struct{ on atomic.Bool }

func (h *thrower) throw() {
	if h.on.Load() {
		panic(redis.Nil)
	}
}

func (h *thrower) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		h.throw()
		return next(ctx, network, addr)
	}
}

func (h *thrower) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !holdsLock(cmd) {
			h.throw()
		}
		return next(ctx, cmd)
	}
}

// holdsLock reports whether go-redis sends the command while it holds a lock that a panic leaves locked, so that Close of the
// client never returns: CLIENT MAINT_NOTIFICATIONS, which begins a connection.
func holdsLock(cmd redis.Cmder) bool {
	args := cmd.Args()
	return cmd.Name() == "client" && len(args) > 1 && args[1] == "maint_notifications"
}

func (h *thrower) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.throw()
		return next(ctx, cmds)
	}
}

// throwing makes the client and a log, and whatever is to be panicking.
type throwing struct {
	client redis.UniversalClient
	throws func(bool)
}

// A panic in what the client calls, but doesn't bring along, is an error of the call, wherever it is made.
func TestClientPanics(t *testing.T) {
	t.Parallel()
	for what, with := range map[string]func(t *testing.T) throwing{
		"hooks": func(t *testing.T) throwing {
			h := new(thrower)
			client := redistest.Start(t).Client(t)
			client.AddHook(h)
			return throwing{client, h.on.Store}
		},
		"callbacks": func(t *testing.T) throwing { // of each new connection, also those of invalidations
			h, s := new(thrower), redistest.Start(t)
			client := redis.NewClient(&redis.Options{
				Addr: s.Addr(),
				Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
					h.throw()
					return new(net.Dialer).DialContext(ctx, network, addr)
				},
			})
			t.Cleanup(func() { _ = client.Close() })
			return throwing{client, func(on bool) {
				h.on.Store(on)
				if on {
					s.Do("CLIENT", "KILL", "TYPE", "normal")
					s.Do("CLIENT", "KILL", "TYPE", "pubsub")
				}
			}}
		},
		"OnConnect": func(t *testing.T) throwing {
			h, s := new(thrower), redistest.Start(t)
			// Each connection that panics here keeps its place in go-redis's pool, and a busy machine makes many.
			client := redis.NewClient(&redis.Options{Addr: s.Addr(), PoolSize: 1000, OnConnect: func(context.Context, *redis.Conn) error {
				h.throw()
				return nil
			}})
			t.Cleanup(func() { _ = client.Close() })
			return throwing{client, func(on bool) {
				h.on.Store(on)
				if on {
					s.Do("CLIENT", "KILL", "TYPE", "normal")
					s.Do("CLIENT", "KILL", "TYPE", "pubsub")
				}
			}}
		},
		"hooks of nodes": func(t *testing.T) throwing {
			h := new(thrower)
			client := redis.NewClusterClient(&redis.ClusterOptions{
				Addrs: redistest.StartCluster(t).Addrs(), ClusterStateReloadInterval: time.Hour, MaxRedirects: -1,
			})
			client.OnNewNode(func(node *redis.Client) { node.AddHook(exceptTopology{h}) })
			t.Cleanup(func() { _ = client.Close() })
			return throwing{client, h.on.Store}
		},
	} {
		for name, mode := range allModes {
			if what == "hooks of nodes" && mode != tiered.Tracking {
				continue // go-redis asks the nodes in goroutines of its own
			}
			t.Run(what+"/"+name, func(t *testing.T) {
				t.Parallel()
				survives(t, with(t), mode)
			})
		}
	}
}

// exceptTopology leaves out what go-redis asks in goroutines of its own, where nobody can recover.
type exceptTopology struct{ *thrower }

func (h exceptTopology) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	throws := h.thrower.ProcessHook(next)
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "cluster" {
			return next(ctx, cmd)
		}
		return throws(ctx, cmd)
	}
}

func survives(t *testing.T, with throwing, mode tiered.Invalidation) {
	log := new(observe.Log)
	o := lively(mode)
	o.Timeout, o.Logger = time.Second, slog.New(slog.NewTextHandler(log, nil))
	with.throws(true)
	if r, err := tiered.NewRedis(with.client, o); err == nil { // as if it were down
		defer r.Close()
		_ = r.Ping(t.Context())
	}
	with.throws(false)
	r, err := tiered.NewRedis(with.client, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	policy := longLived
	policy.RefreshAfter = time.Millisecond
	c := newCache(t, tiered.Options[string]{Redis: r, Policy: policy, Logger: o.Logger})
	ctx := t.Context()
	waitFor(t, func() bool { return r.Status() == nil && c.Set(ctx, "k", "v", "tag") == nil })
	load := make(chan struct{})
	long := begin(t, c, "long", func(context.Context, *tiered.Entry[string]) (string, error) { // which has a lease
		<-load
		return "long", nil
	})
	waitFor(t, func() bool { return c.Stats().Loads+c.Stats().Misses > 0 })
	with.throws(true)
	for i := range 6 { // until nobody is asked any more
		key := fmt.Sprint("k", i)
		if v, err := c.Get(ctx, key); v != "" || !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("Get: %q, %v", v, err)
		}
		if v, err := c.GetOrLoad(ctx, key, value("v")); v != "v" || err != nil {
			t.Errorf("GetOrLoad: %q, %v", v, err)
		}
		if _, err := c.GetMany(ctx, "a", "b", "c"); err != nil {
			t.Logf("GetMany: %v", err)
		}
		for name, err := range map[string]error{
			"Set":            c.Set(ctx, key+"s", "v", "other"),
			"SetMany":        c.SetMany(ctx, map[string]string{"x": "1", "y": "2"}),
			"Delete":         c.Delete(ctx, "x", "y"),
			"Expire":         c.Expire(ctx, "y"),
			"InvalidateTags": c.InvalidateTags(ctx, "tag"),
			"Clear":          c.Clear(ctx),
			"Ping":           r.Ping(ctx),
		} {
			if err == nil && i == 0 && !strings.Contains(t.Name(), "callbacks") && !strings.Contains(t.Name(), "OnConnect") {
				t.Errorf("%s: no error", name)
			}
		}
	}
	close(load)
	long.gets(t, "long")
	waitFor(t, func() bool { err := r.Status(); return err != nil && strings.Contains(err.Error(), "panic") })
	waitFor(t, func() bool {
		return strings.Contains(log.String(), "the client panicked") && strings.Contains(log.String(), "stack=") ||
			!strings.Contains(t.Name(), "hooks") // go-redis dials in goroutines of its own
	})
	with.throws(false)
	waitFor(t, func() bool { return r.Status() == nil && c.Set(ctx, "k", "again") == nil && c.Stats().Queued == 0 })
	if v, err := c.Get(ctx, "k"); v != "again" || err != nil {
		t.Errorf("afterwards: %q, %v", v, err)
	}
}
