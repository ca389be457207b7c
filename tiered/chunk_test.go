package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// batchOf are n values of so many bytes by key.
func batchOf(n, bytes int) (keys []string, values map[string][]byte) {
	value := []byte(strings.Repeat("x", bytes))
	keys, values = make([]string, n), make(map[string][]byte, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("key/%07d", i)
		values[keys[i]] = value
	}
	return keys, values
}

// withDefaults makes a cache of bytes whose Redis has the default options.
func withDefaults(t testing.TB, client redis.UniversalClient) *tiered.Cache[[]byte] {
	t.Helper()
	r, err := tiered.NewRedis(client, tiered.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return newCache(t, tiered.Options[[]byte]{Redis: r, Codec: codec.Raw, Policy: longLived})
}

// A batch of any size has the time that it takes, as long as Redis answers. Not beside other tests: the default Timeout is part of it.
func TestUnboundedBatch(t *testing.T) {
	size := struct{ set, load int }{100_000, 50_000}
	if os.Getenv("TIERED_BATCH") == "million" { // some 20 s
		size.set, size.load = 1_000_000, 200_000
	}
	s := redistest.Start(t)
	a, b := withDefaults(t, s.Client(t)), withDefaults(t, s.Client(t))
	testBatch(t, a, b, size.set, size.load)
	if n := s.Do("DBSIZE").(int64); n > 100 {
		t.Errorf("%d keys are left", n)
	}
}

func TestUnboundedBatchInACluster(t *testing.T) {
	c := redistest.StartCluster(t)
	testBatch(t, withDefaults(t, c.Client(t)), withDefaults(t, c.Client(t)), 20_000, 20_000)
}

func testBatch(t *testing.T, a, b *tiered.Cache[[]byte], set, load int) {
	ctx := t.Context()
	began := time.Now()
	step := func(what string, ok bool, err error) {
		t.Helper()
		for _, c := range []*tiered.Cache[[]byte]{a, b} {
			s := c.Stats()
			if s.Opened > 0 {
				t.Skipf("%s: Redis was silent for longer than Timeout: %v, %+v", what, err, s)
			}
			if ok = ok && err == nil; !ok || s.Queued != 0 || s.Replayed != 0 || s.RedisErrors != 0 {
				t.Fatalf("%s: %v, stats %+v", what, err, s)
			}
		}
		t.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond))
		began = time.Now()
	}
	keys, values := batchOf(set, 1000)
	step("SetMany", true, a.SetMany(ctx, values))
	read, err := b.GetMany(ctx, keys...)
	step("GetMany", len(read) == set, err)
	step("Delete", true, b.Delete(ctx, keys...))

	ids, all := make([]int, load), make([]string, load)
	for i := range ids {
		ids[i], all[i] = i, idKey(i)
	}
	loaded := 0
	source := func(_ context.Context, ids []int) (map[int][]byte, error) {
		loaded += len(ids)
		values := make(map[int][]byte, len(ids))
		for _, id := range ids {
			values[id] = []byte("loaded")
		}
		return values, nil
	}
	got, err := tiered.GetOrLoadMany(ctx, a, ids, idKey, source)
	step("GetOrLoadMany", len(got) == load && loaded == load, err)
	got, err = tiered.GetOrLoadMany(ctx, b, ids, idKey, source)
	step("GetOrLoadMany of the other process", len(got) == load && loaded == load, err)
	step("Expire", true, a.Expire(ctx, all...))
	step("Delete of what is stale", true, a.Delete(ctx, all...))
}

func TestManyTags(t *testing.T) {
	t.Parallel()
	c := withDefaults(t, redistest.Start(t).Client(t))
	tags := make([]string, 10_000)
	for i := range tags {
		tags[i] = fmt.Sprint("tag", i)
	}
	if err := c.Set(t.Context(), "k", []byte("v"), tags[len(tags)-1]); err != nil {
		t.Fatal(err)
	}
	if err := c.InvalidateTags(t.Context(), tags...); err != nil {
		t.Error(err)
	}
	if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
		t.Errorf("%q, %v", v, err)
	}
}

// Values are read however large they are together. Not beside other tests: the default Timeout is part of it.
func TestLargeValues(t *testing.T) {
	s := redistest.Start(t)
	a, b := withDefaults(t, s.Client(t)), withDefaults(t, s.Client(t))
	keys, values := batchOf(100, 1<<20)
	if err := a.SetMany(t.Context(), values); err != nil {
		t.Errorf("SetMany: %v", err)
	}
	if got, err := b.GetMany(t.Context(), keys...); err != nil || !slices.Equal(slices.Sorted(maps.Keys(got)), keys) {
		t.Errorf("GetMany: %d values, %v", len(got), err)
	}
	fresh := withDefaults(t, s.Client(t))
	if err := fresh.Set(t.Context(), "to know the epoch", nil); err != nil {
		t.Error(err)
	}
	got, err := tiered.GetOrLoadMany(t.Context(), fresh, keys, func(key string) string { return key },
		func(_ context.Context, keys []string) (map[string][]byte, error) {
			t.Errorf("%d are loaded", len(keys))
			return nil, nil
		})
	if err != nil || len(got) != len(keys) {
		t.Errorf("GetOrLoadMany: %d values, %v", len(got), err)
	}
}

// stopAfter is a go-redis hook that calls stop before one of the next requests for values.
type stopAfter struct {
	left atomic.Int64
	at   atomic.Pointer[time.Time] // when it did
	stop func()
}

func (s *stopAfter) ago() time.Duration {
	if at := s.at.Load(); at != nil {
		return time.Since(*at)
	}
	return 0
}

func (s *stopAfter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *stopAfter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.count(cmd)
		return next(ctx, cmd)
	}
}

func (s *stopAfter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		s.count(cmds[0])
		return next(ctx, cmds)
	}
}

func (s *stopAfter) count(cmd redis.Cmder) {
	if name := cmd.Name(); (name == "set" || name == "mget") && s.left.Add(-1) == 0 {
		s.stop()
		at := time.Now()
		s.at.Store(&at)
	}
}

// A server that stops in the midst of a batch: what arrived is kept, what failed is queued, and the rest isn't waited for.
func TestStopsDuringABatch(t *testing.T) {
	t.Parallel()
	for name, stops := range map[string]func(p *faultproxy.Proxy, on bool){
		"silent":  (*faultproxy.Proxy).Stall,
		"no more": func(p *faultproxy.Proxy, on bool) { p.Refuse(on) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := faultproxy.Start(t, s.Addr())
			client := redis.NewClient(&redis.Options{Addr: p.Addr()})
			t.Cleanup(func() { _ = client.Close() })
			stop := stopAfter{stop: func() {
				stops(p, true)
				if name != "silent" {
					p.Cut()
				}
			}}
			client.AddHook(&stop)
			const timeout = time.Second // A chunk that is late on a busy machine would make the next ones small.
			const most = 2*timeout + 3*time.Second
			// With None nothing but the batch finds out, and the local tier has nothing to serve in its place.
			r := openedRedis(t, client, tiered.RedisOptions{Invalidation: tiered.None, Timeout: timeout, Heartbeat: 2 * time.Second})
			var queued []string
			c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived, MaxCost: 1,
				Trace: &tiered.Trace{Queued: func(keys []string, _ error) { queued = append(queued, keys...) }}})
			values := make(map[string]string)
			for i := range 25_000 {
				values[idKey(i)] = strings.Repeat("x", 1000)
			}
			waitFor(t, func() bool { return c.Set(t.Context(), "to know the epoch", "") == nil })
			stop.left.Store(25)
			err := c.SetMany(t.Context(), values)
			took := stop.ago()
			if !errors.Is(err, tiered.ErrQueued) || took > most {
				t.Errorf("SetMany took %v: %v", took, err)
			}
			if n := len(queued); n < 1000 || n > 8000 || n < c.Stats().Queued {
				t.Errorf("%d are queued, told of %d", c.Stats().Queued, n)
			}
			stops(p, false)
			waitFor(t, func() bool { return c.Stats().Queued == 0 })
			other := newProcess(t, s, tiered.RedisOptions{Invalidation: tiered.None}, longLived)
			keys := slices.Sorted(maps.Keys(values))
			got, err := other.GetMany(t.Context(), keys...)
			if err != nil || len(got) != len(keys)-len(queued) {
				t.Errorf("%d values are there, of %d, %v", len(got), len(keys)-len(queued), err)
			}

			waitFor(t, func() bool { return r.Status() == nil })
			stop.left.Store(10)
			some, err := c.GetMany(t.Context(), keys...)
			if took := stop.ago(); err == nil || errors.Is(err, tiered.ErrQueued) || len(some) < 3000 || len(some) >= len(got) || took > most {
				t.Errorf("GetMany took %v: %d values, %v", took, len(some), err)
			}
			stops(p, false)
		})
	}
}

// slowValue is a go-redis hook under which what names the key takes until the test is over, unless it reads or writes only
// a part of the value. All else is answered as ever.
type slowValue struct {
	key  string
	over <-chan struct{}
}

func (s *slowValue) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *slowValue) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.wait(cmd)
		return next(ctx, cmd)
	}
}

func (s *slowValue) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		s.wait(cmds...)
		return next(ctx, cmds)
	}
}

func (s *slowValue) wait(cmds ...redis.Cmder) {
	for _, cmd := range cmds {
		if name := cmd.Name(); (name == "get" || name == "mget" || name == "set") && slices.Contains(cmd.Args(), any(s.key)) {
			<-s.over
		}
	}
}

// A value that is too large for its time is that one's trouble: no breaker opens, nothing is read or written for ever, and the
// other keys have their values.
func TestValueThatTakesTooLong(t *testing.T) {
	t.Parallel()
	cases := &atOnce{t: t}
	defer cases.wait()
	for mode, how := range modes {
		cases.run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			p := faultproxy.Start(t, s.Addr())
			client := redis.NewClient(&redis.Options{Addr: p.Addr()})
			t.Cleanup(func() { _ = client.Close() })
			over := make(chan struct{})
			t.Cleanup(func() { close(over) })
			client.AddHook(&slowValue{"tc:test:large", over})
			o := tiered.RedisOptions{Invalidation: how, Timeout: 400 * time.Millisecond, Heartbeat: time.Minute}
			if redistest.RaceDetector {
				o.Timeout *= 2
			}
			r, err := tiered.NewRedis(client, o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { go r.Close() }) // it waits for what is over with the test
			c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
			other := newProcess(t, s, tiered.RedisOptions{Invalidation: how}, longLived)
			values := map[string]string{"large": "v"}
			for i := range 400 {
				values[idKey(i)] = "v"
			}
			if err := other.SetMany(t.Context(), values); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				if _, err := c.Get(t.Context(), "large"); err != tiered.ErrNotFound {
					t.Errorf("a read: %v", err)
				}
			}
			closed(t, c)
			got, err := c.GetMany(t.Context(), slices.Collect(maps.Keys(values))...)
			if len(got) != len(values)-1 || err == nil || !strings.Contains(err.Error(), "1 of 401") {
				t.Errorf("GetMany: %d values, %v", len(got), err)
			}
			closed(t, c)
			p.Refuse(true)
			p.Cut()
			if err := c.Delete(t.Context(), "large"); !errors.Is(err, tiered.ErrQueued) {
				t.Errorf("Delete: %v", err)
			}
			p.Refuse(false)
			waitFor(t, func() bool { return c.Stats().Queued == 0 })
			if n := s.Do("EXISTS", "tc:test:large"); n != int64(0) {
				t.Error("the value outlives the replay")
			}
		})
	}
}

// closed checks that no breaker has opened.
func closed[T any](t *testing.T, c *tiered.Cache[T]) {
	t.Helper()
	if s := c.Stats(); s.BreakerOpen || s.Opened != 0 {
		t.Errorf("stats %+v", s)
	}
}

// A value that Redis takes from nobody, and closes the connection for.
func TestOversizedValue(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--proto-max-bulk-len", "1mb")
	r := newRedis(t, s, tiered.RedisOptions{Invalidation: tiered.None, Heartbeat: time.Minute})
	c := newCache(t, tiered.Options[[]byte]{Redis: r, Codec: codec.Raw, Policy: longLived})
	for range 4 {
		if err := c.Set(t.Context(), "large", make([]byte, 4<<20)); !errors.Is(err, tiered.ErrQueued) {
			t.Errorf("Set: %v", err)
		}
		closed(t, c)
	}
	values := map[string][]byte{"large": make([]byte, 4<<20)}
	for i := range 1000 {
		values[idKey(i)] = []byte("v")
	}
	if err := c.SetMany(t.Context(), values); !errors.Is(err, tiered.ErrQueued) {
		t.Errorf("SetMany: %v", err)
	}
	waitFor(t, func() bool { return c.Stats().Queued == 0 })
	closed(t, c)
	if n := c.Stats().Replayed; n > 5 {
		t.Errorf("%d keys were replayed", n)
	}
	if n := s.Do("EXISTS", "tc:test:"+idKey(7)); n != int64(1) {
		t.Error("the other values aren't there")
	}
}
