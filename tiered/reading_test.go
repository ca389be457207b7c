package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// holdup is a go-redis hook that holds what is read of a key back, and lets nothing be deleted.
type holdup struct {
	redis.Hook
	key     string
	there   chan struct{} // has one element for each that is held
	release chan struct{}
}

func newHoldup(key string) *holdup {
	return &holdup{key: "tc:test:" + key, there: make(chan struct{}, 100), release: make(chan struct{})}
}

func (h *holdup) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *holdup) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *holdup) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "eval" && strings.HasPrefix(cmd.Args()[1].(string), "local n=redis.pcall('GETRANGE'") { // a Delete
			cmd.SetErr(errBlocked)
			return errBlocked
		}
		err := next(ctx, cmd)
		if name := cmd.Name(); (name == "get" || name == "mget") && slices.Contains(cmd.Args()[1:], any(h.key)) {
			h.there <- struct{}{}
			<-h.release
		}
		return err
	}
}

// Of a batch's keys, one is changed while they are read, and a write of another is queued: neither gets what was read for the
// other.
func TestReadingsOfOtherKeys(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	h, replays := newHoldup("a"), new(replayBlocker)
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

// A server that is a Cluster by itself, and is asked by a client that doesn't know, has one command for all keys refused,
// though it has them all.
func TestReadsAcrossSlots(t *testing.T) {
	t.Parallel()
	const n = 20
	s := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-config-file", t.TempDir()+"/nodes.conf")
	s.Do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	waitFor(t, func() bool {
		info, _ := s.Do("CLUSTER", "INFO").(string)
		return strings.Contains(info, "cluster_state:ok")
	})
	values, keys := make(map[string]string, n), make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
		values[keys[i]] = "v"
	}
	if err := newProcess(t, s, quiet, longLived).SetMany(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	c := newProcess(t, s, quiet, longLived)
	set(t, c, "to know the cache's epoch", "")
	s.Freeze()
	all := beginAll(t, n, func(ctx context.Context, i int) (string, error) { return c.GetOrLoad(ctx, keys[i], noLoad[string](t)) })
	s.Thaw()
	for _, cl := range all {
		cl.gets(t, "v")
	}
	if got, err := newProcess(t, s, quiet, longLived).GetMany(t.Context(), keys...); len(got) != n || err != nil {
		t.Errorf("got %d, %v", len(got), err)
	}
}

// A read that goes on while an invalidation of a tag fails, and is queued, doesn't leave what has the tag in the local tier, also
// if another read has meanwhile learned from Redis that nothing was invalidated.
func TestReadDuringAQueuedInvalidationOfTags(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	h, replays := newHoldup("other"), new(replayBlocker)
	client.AddHook(h)
	client.AddHook(replays)
	d := slowDecoder{codec.JSON, new(atomic.Bool), make(chan struct{}), make(chan struct{})}
	d.first.Store(true) // not yet
	c := newCache(t, tiered.Options[string]{
		Redis: openedRedis(t, client, tiered.RedisOptions{Heartbeat: time.Hour, Timeout: 10 * time.Second}), Policy: longLived, Codec: d,
	})
	writer := newProcess(t, s, tiered.RedisOptions{}, longLived)
	for _, key := range []string{"k", "first", "other"} {
		set(t, writer, key, "old", "tag")
	}
	caughtUp(t, writer, c)
	gets(t, c, "first", noLoad[string](t), "old") // the tag is known

	other := begun(func() (string, error) { return c.Get(t.Context(), "other") })
	<-h.there
	d.first.Store(false)
	reads := begin(t, c, "k", value("new"))
	<-d.reading
	replays.on.Store(true)
	queued(t, c.InvalidateTags(t.Context(), "tag"))
	close(h.release)
	if v, err := other.wait(t); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("got %q, %v", v, err)
	}
	close(d.goOn)
	_, _ = reads.wait(t)
	if v, err := c.Get(t.Context(), "k"); v == "old" {
		t.Errorf("after the invalidation: %q, %v", v, err)
	}
	replays.on.Store(false)
	waitFor(t, func() bool { return c.Stats().Queued == 0 })
}

// ownClient is a client of a user's own, which can't be compared.
type ownClient struct {
	redis.UniversalClient
	_ []string
}

func TestReadsOfAnyClient(t *testing.T) {
	t.Parallel()
	const n = 20
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, ownClient{UniversalClient: s.Client(t)}, quiet)})
	s.Freeze()
	all := beginAll(t, n, func(ctx context.Context, i int) (string, error) { return c.Get(ctx, fmt.Sprint("k", i)) })
	s.Thaw()
	for _, cl := range all {
		if _, err := cl.wait(t); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	}
}
