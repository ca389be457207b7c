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

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// replayBlocker hold the replays of a client back while they are on. Everything else passes.
type replayBlocker struct {
	on      atomic.Bool
	refused atomic.Int64
}

var errBlocked = errors.New("blocked")

// blocks reports whether the command is one that only a replay sends, if nothing else is invalidated meanwhile.
func (b *replayBlocker) blocks(cmd redis.Cmder) bool {
	args := cmd.Args()
	switch {
	case !b.on.Load():
		return false
	case cmd.Name() == "pttl":
	case cmd.Name() == "set" && strings.Contains(fmt.Sprint(args[1]), "!era"):
	case cmd.Name() == "eval" && args[2] == 2 && args[len(args)-1] == 1: // the next count
	default:
		return false
	}
	b.refused.Add(1)
	return true
}

func (b *replayBlocker) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (b *replayBlocker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if b.blocks(cmd) {
			cmd.SetErr(errBlocked)
			return errBlocked
		}
		return next(ctx, cmd)
	}
}

func (b *replayBlocker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if b.blocks(cmd) {
				for _, cmd := range cmds {
					cmd.SetErr(errBlocked)
				}
				return errBlocked
			}
		}
		return next(ctx, cmds)
	}
}

// faultyProcess is a process whose connection to Redis can be broken, and whose replays can be blocked.
type faultyProcess struct {
	*tiered.Cache[string]
	proxy   *faultproxy.Proxy
	redis   *tiered.Redis
	blocker *replayBlocker
	traced  atomic.Int64
	log     *observe.Log
}

func newFaultyProcess(t *testing.T, s *redistest.Server, o tiered.RedisOptions) *faultyProcess {
	t.Helper()
	out := &faultyProcess{proxy: faultproxy.Start(t, s.Addr()), blocker: new(replayBlocker), log: new(observe.Log)}
	// A call that was given up doesn't go on trying, and arrive in the end.
	client := redis.NewClient(&redis.Options{Addr: out.proxy.Addr(), MaxRetries: -1, DialerRetries: 1})
	client.AddHook(out.blocker)
	var err error
	if out.redis, err = tiered.NewRedis(client, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(out.redis.Close(), client.Close()); err != nil {
			t.Error(err)
		}
	})
	waitFor(t, func() bool { return out.redis.Status() == nil })
	out.Cache = newCache(t, tiered.Options[string]{
		Redis:  out.redis,
		Policy: longLived,
		Logger: slog.New(slog.NewTextHandler(out.log, nil)),
		Trace:  &tiered.Trace{Queued: func([]string, error) { out.traced.Add(1) }},
	})
	return out
}

func (o *faultyProcess) cutOff() {
	o.proxy.Refuse(true)
	o.proxy.Cut()
}

// reconnect returns when the process can rely on Redis for what isn't queued.
func (o *faultyProcess) reconnect(t *testing.T) {
	t.Helper()
	o.proxy.Refuse(false)
	waitFor(t, func() bool { return o.redis.Status() == nil })
}

func queued(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, tiered.ErrQueued) || errors.Is(err, tiered.ErrClosed) || len(err.Error()) <= len(tiered.ErrQueued.Error()) {
		t.Fatalf("got %v, want ErrQueued with its cause", err)
	}
}

func (o *faultyProcess) replays(t testing.TB) {
	t.Helper()
	waitFor(t, func() bool { return o.Stats().Queued == 0 })
}
