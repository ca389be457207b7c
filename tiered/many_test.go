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
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func idKey(id int) string { return fmt.Sprint("id/", id) }

// source is a batch loader that has the even ids, and records what it was asked.
type source struct {
	mu    sync.Mutex
	calls [][]int
}

func (s *source) load(_ context.Context, ids []int) (map[int]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, slices.Sorted(slices.Values(ids)))
	values := map[int]string{-1: "not asked for"}
	for _, id := range ids {
		if id%2 == 0 {
			values[id] = fmt.Sprint("v", id)
		}
	}
	return values, nil
}

func TestGetOrLoadMany(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	open := func(p tiered.Policy) *tiered.Cache[string] {
		return newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{Invalidation: tiered.None}), Policy: p})
	}
	policy := tiered.Policy{NotFoundTTL: time.Minute}
	c, other := open(policy), open(policy)
	ctx := t.Context()
	if err := errors.Join(c.Set(ctx, idKey(2), "local"), other.Set(ctx, idKey(4), "remote")); err != nil {
		t.Fatal(err)
	}
	var src source
	want := map[int]string{2: "local", 4: "remote", 6: "v6", 8: "v8"}
	for round := range 3 {
		got, err := tiered.GetOrLoadMany(ctx, c, []int{2, 4, 6, 6, 7, 8, 2}, idKey, src.load)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("round %d: %v, %v", round, got, err)
		}
	}
	if got, err := tiered.GetOrLoadMany(ctx, other, []int{6, 7, 8}, idKey, src.load); err != nil || len(got) != 2 {
		t.Errorf("the other process: %v, %v", got, err)
	}
	if len(src.calls) != 1 || !slices.Equal(src.calls[0], []int{6, 7, 8}) {
		t.Errorf("the loader was asked for %v", src.calls)
	}
	if got, err := tiered.GetOrLoadMany(ctx, c, nil, idKey, src.load); err != nil || got == nil || len(got) != 0 {
		t.Errorf("no ids: %v, %v", got, err)
	}
	if st := c.Stats(); st.Loads != 1 || st.RemoteHits != 1 || st.Misses != 3 {
		t.Errorf("stats %+v", st)
	}
}

// countCommands counts the round trips to Redis.
type countCommands struct{ single, pipelines atomic.Int32 }

func (c *countCommands) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *countCommands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name != "time" && name != "hello" && name != "client" {
			c.single.Add(1)
		}
		return next(ctx, cmd)
	}
}
func (c *countCommands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if name := cmds[0].Name(); name == "mget" || name == "set" || name == "del" || name == "eval" {
			c.pipelines.Add(1)
		}
		return next(ctx, cmds)
	}
}

func TestManyRoundTrips(t *testing.T) {
	t.Parallel()
	t.Run("a chunk", func(t *testing.T) {
		testManyRoundTrips(t, 100, tripsOf{read: 1, lease: 1, store: 1, write: 1})
	})
	t.Run("chunks", func(t *testing.T) {
		// Reads begin with two times 256 keys, and the rest has up to 1,000.
		testManyRoundTrips(t, 10_000, tripsOf{read: 12, lease: 10, store: 10, write: 10})
	})
}

// tripsOf is how often Redis is asked.
type tripsOf struct{ read, lease, store, write int32 }

func testManyRoundTrips(t *testing.T, n int, want tripsOf) {
	s := redistest.Start(t)
	client := s.Client(t)
	var trips countCommands
	client.AddHook(&trips)
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: tiered.None, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := newCache(t, tiered.Options[string]{Redis: r, MaxCost: 1 << 20})
	ids, keys := make([]int, n), make([]string, n)
	for i := range ids {
		ids[i], keys[i] = 2*i, idKey(2*i)
	}
	if err := c.Set(t.Context(), "to know the cache's epoch", ""); err != nil {
		t.Fatal(err)
	}
	trips.single.Store(0)
	// reads are single commands, MGETs; all else is in pipelines.
	expect := func(what string, got map[int]string, err error, reads, pipelines int32) {
		t.Helper()
		if err != nil || len(got) != n || got[2*(n-1)] != fmt.Sprint("v", 2*(n-1)) {
			t.Errorf("%s: %d values, %v", what, len(got), err)
		}
		if p, r := trips.pipelines.Swap(0), trips.single.Swap(0); p != pipelines || r > reads || r == 0 != (reads == 0) {
			t.Errorf("%s: %d pipelines, want %d, and %d single commands, want %d", what, p, pipelines, r, reads)
		}
	}
	var src source
	got, err := tiered.GetOrLoadMany(t.Context(), c, ids, idKey, src.load)
	expect("load", got, err, want.read, want.lease+want.store)
	got, err = tiered.GetOrLoadMany(t.Context(), c, ids, idKey, src.load)
	expect("local", got, err, 0, 0)
	if len(src.calls) != 1 || len(src.calls[0]) != n {
		t.Errorf("%d calls of the loader", len(src.calls))
	}

	r2, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: tiered.None, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer r2.Close()
	other := newCache(t, tiered.Options[string]{Redis: r2, MaxCost: 1 << 20})
	trips.single.Store(0)
	values, err := other.GetMany(t.Context(), append(keys, "absent", keys[0])...)
	if r := trips.single.Load(); err != nil || len(values) != n || r > want.read+2 { // and the epoch
		t.Errorf("GetMany: %d values in %d reads, %v", len(values), r, err)
	}
	if err := other.SetMany(t.Context(), values); err != nil || trips.pipelines.Swap(0) != want.write {
		t.Errorf("SetMany: %v", err)
	}
	if err := other.Delete(t.Context(), keys...); err != nil || trips.pipelines.Swap(0) != want.write {
		t.Errorf("Delete: %v", err)
	}
	if size := s.Do("DBSIZE"); size != int64(3) { // the epoch, the count and the key at the beginning
		t.Errorf("%v keys are left", size)
	}
}

func TestBatchJoinsFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		g := newGate()
		var single, batch sync.WaitGroup
		single.Go(func() { _, _ = c.GetOrLoad(t.Context(), idKey(2), g.load) })
		synctest.Wait()
		var src source
		batch.Go(func() {
			got, err := tiered.GetOrLoadMany(t.Context(), c, []int{2, 4}, idKey, src.load)
			if err != nil || !maps.Equal(got, map[int]string{2: "load 1", 4: "v4"}) {
				t.Errorf("%v, %v", got, err)
			}
		})
		synctest.Wait()
		if len(src.calls) != 1 || !slices.Equal(src.calls[0], []int{4}) {
			t.Errorf("the loader was asked for %v", src.calls)
		}
		if v, err := c.GetOrLoad(t.Context(), idKey(4), noLoad[string](t)); v != "v4" || err != nil {
			t.Errorf("the batch's own value while it waits for another's: %q, %v", v, err)
		}
		close(g.open)
		batch.Wait()
		single.Wait()

		// The other way round: a single load joins a batch's flight.
		started, open := make(chan struct{}), make(chan struct{})
		batch.Go(func() {
			_, _ = tiered.GetOrLoadMany(t.Context(), c, []int{6}, idKey, func(context.Context, []int) (map[int]string, error) {
				close(started)
				<-open
				return map[int]string{6: "v6"}, nil
			})
		})
		<-started
		single.Go(func() {
			if v, err := c.GetOrLoad(t.Context(), idKey(6), noLoad[string](t)); v != "v6" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		})
		synctest.Wait()
		close(open)
		batch.Wait()
		single.Wait()
	})
}

func TestBatchLoaderFails(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	ctx := t.Context()
	if err := c.Set(ctx, idKey(1), "cached"); err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	got, err := tiered.GetOrLoadMany(ctx, c, []int{1, 2, 3}, idKey, func(context.Context, []int) (map[int]string, error) {
		return map[int]string{2: "beside the error"}, down
	})
	if err != down || !maps.Equal(got, map[int]string{1: "cached", 2: "beside the error"}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := c.Get(ctx, idKey(3)); err != tiered.ErrNotFound {
		t.Error(err)
	}
	got, err = tiered.GetOrLoadMany(ctx, c, []int{1, 3}, idKey, func(context.Context, []int) (map[int]string, error) {
		return nil, fmt.Errorf("none of them: %w", tiered.ErrNotFound)
	})
	if err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if st := c.Stats(); st.LoadErrors != 1 || st.Loads != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestBatchLoaderPanicsAndHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{LoadTimeout: time.Second}})
		func() {
			defer func() {
				if p, ok := recover().(*tiered.LoaderPanic); !ok || p.Value != "boom" {
					t.Errorf("panicked with %v", p)
				}
			}()
			_, _ = tiered.GetOrLoadMany(t.Context(), c, []int{1, 2}, idKey, func(context.Context, []int) (map[int]string, error) { panic("boom") })
		}()
		release := make(chan struct{})
		got, err := tiered.GetOrLoadMany(t.Context(), c, []int{1, 2}, idKey, func(context.Context, []int) (map[int]string, error) {
			<-release
			return map[int]string{1: "too late"}, nil
		})
		if len(got) != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", got, err)
		}
		var src source
		if got, err := tiered.GetOrLoadMany(t.Context(), c, []int{1, 2}, idKey, src.load); err != nil || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
		close(release)
		synctest.Wait()
		if v, err := c.Get(t.Context(), idKey(1)); err != tiered.ErrNotFound {
			t.Errorf("the late value is kept: %q, %v", v, err)
		}
	})
}

// Who calls after a batch's panic was heard of begins a load of its own.
func TestCallAfterBatchPanicked(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	ids := make([]int, 2_000)
	for i := range ids {
		ids[i] = i
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = tiered.GetOrLoadMany(t.Context(), c, ids, idKey, func(context.Context, []int) (map[int]string, error) { panic("boom") })
	}()
	if v, err := c.GetOrLoad(t.Context(), idKey(ids[len(ids)-1]), value("v")); v != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if s := c.Stats(); s.LoadErrors != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestBatchCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		if err := c.Set(t.Context(), idKey(1), "cached"); err != nil {
			t.Fatal(err)
		}
		open := make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			got, err := tiered.GetOrLoadMany(ctx, c, []int{1, 2}, idKey, func(ctx context.Context, _ []int) (map[int]string, error) {
				<-open
				return map[int]string{2: "v2"}, ctx.Err()
			})
			if len(got) != 1 || !errors.Is(err, context.Canceled) {
				t.Errorf("%v, %v", got, err)
			}
		})
		synctest.Wait()
		leave()
		wg.Wait()
		close(open)
		synctest.Wait()
		if v, err := c.Get(t.Context(), idKey(2)); v != "v2" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}

func TestDeleteDuringBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{})
		_, err := tiered.GetOrLoadMany(t.Context(), c, []int{1, 2}, idKey, func(ctx context.Context, _ []int) (map[int]string, error) {
			return map[int]string{1: "old", 2: "v2"}, c.Delete(ctx, idKey(1))
		})
		if err != nil {
			t.Error(err)
		}
		if v, err := c.Get(t.Context(), idKey(1)); err != tiered.ErrNotFound {
			t.Errorf("%q, %v", v, err)
		}
		if v, err := c.Get(t.Context(), idKey(2)); v != "v2" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}

func TestIdsWithOneKey(t *testing.T) {
	c := newCache(t, tiered.Options[string]{})
	got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"A", "a"}, strings.ToLower, func(_ context.Context, ids []string) (map[string]string, error) {
		if len(ids) != 1 {
			t.Errorf("asked for %v", ids)
		}
		return map[string]string{"A": "v", "a": "v"}, nil
	})
	if err != nil || len(got) != 2 || got["a"] != "v" {
		t.Errorf("%v, %v", got, err)
	}
}
