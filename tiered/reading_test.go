package tiered_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// holdup is a go-redis hook that holds the replies of a command back, and lets nothing be deleted.
type holdup struct {
	redis.Hook
	command string
	there   chan struct{} // has one element for each that is held
	release chan struct{}
}

func newHoldup(command string) *holdup {
	return &holdup{command: command, there: make(chan struct{}, 100), release: make(chan struct{})}
}

func (h *holdup) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *holdup) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *holdup) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "del" {
			cmd.SetErr(errBraked)
			return errBraked
		}
		err := next(ctx, cmd)
		if cmd.Name() == h.command {
			h.there <- struct{}{}
			<-h.release
		}
		return err
	}
}

// Of a batch's keys, one is changed while they are read, and a write of another is queued: neither gets what was read for the
// other.
func TestReadingsOfOtherKeys(t *testing.T) {
	s := redistest.Start(t)
	client := s.Client(t)
	h, replays := newHoldup("mget"), new(brakes)
	client.AddHook(h)
	client.AddHook(replays)
	c := newCache(t, tiered.Options[string]{
		Redis: openedRedis(t, client, tiered.RedisOptions{Heartbeat: time.Hour, Timeout: 10 * time.Second}), Policy: longLived,
	})
	other := newProcess(t, s, tiered.RedisOptions{}, longLived)
	set(t, other, "b", "b's")
	caughtUp(t, other, c)

	ctx, leave := context.WithCancel(t.Context())
	batch := begun(func() (string, error) {
		_, err := tiered.GetOrLoadMany(ctx, c, []string{"a", "b"}, strings.Clone, func(context.Context, []string) (map[string]string, error) {
			return nil, nil
		})
		return "", err
	})
	<-h.there
	joins := begin(t, c, "a", value("loaded"))
	waitFor(t, func() bool { return c.Stats().Collapsed == 1 })
	before := c.Stats().Invalidations
	set(t, other, "a", "a's")
	waitFor(t, func() bool { return c.Stats().Invalidations > before })
	replays.on.Store(true)
	queued(t, c.Delete(t.Context(), "b"))
	leave()
	_, _ = batch.wait(t)
	close(h.release)
	joins.gets(t, "a's")
	gets(t, c, "a", value("loaded"), "a's")
	replays.on.Store(false)
	waitFor(t, func() bool { return c.Stats().Queued == 0 })
}
