package tiered

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

func openInside[T any](t *testing.T, o Options[T]) *Cache[T] {
	t.Helper()
	r, err := NewRedis(redistest.Start(t).Client(t), RedisOptions{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	o.Name, o.Redis = "test", r
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), r.Close()); err != nil {
			t.Error(err)
		}
		c, r = nil, nil // testing keeps this function until the last parallel test ends
	})
	return c
}

// noGuards checks that no key has a key state left.
func noGuards[T any](t *testing.T, c *Cache[T]) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); c.keys.Len() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d keys have a state", c.keys.Len())
		}
	}
}

// explosive is a value that panics in one of its methods, or in the functions of its cache.
type explosive int

var exploding atomic.Pointer[string]

func explode(where string) {
	if *exploding.Load() == where {
		panic(where)
	}
}

func (e explosive) MarshalJSON() ([]byte, error) {
	explode("marshal")
	return json.Marshal(int(e))
}

func (e *explosive) UnmarshalJSON(b []byte) error {
	explode("unmarshal")
	return json.Unmarshal(b, (*int)(e))
}

// A panic in the value's methods or the cache's functions is counted, doesn't reach the caller, and leaves nothing behind.
func TestPanicsLeaveNothing(t *testing.T) {
	c := openInside(t, Options[explosive]{
		Clone: func(e explosive) explosive { explode("clone"); return e },
		Cost:  func(explosive) int64 { explode("cost"); return 1 },

		MaxCost: 100,
	})
	ctx := t.Context()
	load := func(context.Context, *Entry[explosive]) (explosive, error) { return 1, nil }
	panics := func(f func()) (panicked bool) {
		defer func() { panicked = recover() != nil }()
		f()
		return false
	}
	for _, where := range []string{"marshal", "unmarshal", "clone", "cost"} {
		never := "nowhere"
		exploding.Store(&never)
		if err := c.remote.Conn.Client.Set(ctx, c.remote.Keys.Values+"there", "5", 0).Err(); err != nil {
			t.Fatal(err)
		}
		exploding.Store(&where)
		before := c.Stats().CodecErrors
		for _, f := range []func(){
			func() { _, _ = c.Get(ctx, "there") },
			func() { _, _ = c.GetOrLoad(ctx, "there", load) },
			func() { _, _ = c.GetOrLoad(ctx, where, load) },
			func() { _, _ = c.Refresh(ctx, where, load) },
			func() { _ = c.Set(ctx, where, 2) },
			func() { _ = c.SetMany(ctx, map[string]explosive{where: 2, "other": 3}) },
			func() { _, _ = c.GetMany(ctx, where, "there") },
			func() {
				_, _ = GetOrLoadMany(ctx, c, []string{where, where + "2", "there"}, func(s string) string { return s },
					func(context.Context, []string) (map[string]explosive, error) {
						return map[string]explosive{where: 1}, nil
					})
			},
		} {
			if panics(f) {
				t.Errorf("%s: a call panicked", where)
			}
		}
		if count := c.Stats().CodecErrors - before; count < 3 {
			t.Errorf("%s: only %d errors were counted", where, count)
		}
		exploding.Store(&never)
		if err := c.Delete(ctx, "there", where, where+"2", "other"); err != nil {
			t.Error(err)
		}
		if v, err := c.GetOrLoad(ctx, where, load); v != 1 || err != nil {
			t.Errorf("%s: afterwards %d, %v", where, v, err)
		}
		if err := c.Delete(ctx, where); err != nil {
			t.Error(err)
		}
	}
	noGuards(t, c)
}

// After a write is acknowledged, later reads in this process return its value or a newer one, with concurrent reads
// of every kind, refreshes, batches, and writers that give up.
func TestAcknowledgedWritesAreSeen(t *testing.T) {
	t.Parallel()
	c := openInside(t, Options[int]{MaxCost: 8, Policy: Policy{LocalTTL: 2 * time.Millisecond, NotFoundTTL: time.Minute}})
	ctx := t.Context()
	const keys, writes = 6, 600
	var source, acked [keys]atomic.Int64
	key := func(i int) string { return fmt.Sprint("k", i) }
	load := func(i int) Loader[int] {
		return func(context.Context, *Entry[int]) (int, error) { return int(source[i].Load()), nil }
	}
	loadMany := func(_ context.Context, ids []int) (map[int]int, error) {
		m := make(map[int]int)
		for _, id := range ids {
			m[id] = int(source[id].Load())
		}
		return m, nil
	}
	var writers, readers sync.WaitGroup
	for i := range keys {
		writers.Go(func() { // one for each key: it writes first the source, then the cache
			for n := int64(1); n <= writes; n++ {
				source[i].Store(n)
				var err error
				switch n % 4 {
				case 0:
					err = c.Set(ctx, key(i), int(n))
				case 1:
					err = c.Delete(ctx, key(i), "z", key(i))
				case 2:
					err = c.SetMany(ctx, map[string]int{key(i): int(n), "z": 1})
				case 3: // gives up while Redis handles the write
					brief, leave := context.WithTimeout(ctx, time.Duration(n%50)*time.Microsecond)
					_ = c.Set(brief, key(i), int(n))
					leave()
					err = c.Delete(ctx, key(i))
				}
				if err != nil {
					t.Error(err)
					return
				}
				acked[i].Store(n)
			}
		})
	}
	done := make(chan struct{})
	for g := range 6 {
		readers.Go(func() {
			for n := g; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				i := n % keys
				least := int(acked[i].Load())
				v, err := 0, error(nil)
				switch rand.IntN(5) {
				case 0:
					v, err = c.Get(ctx, key(i))
				case 1, 2:
					v, err = c.GetOrLoad(ctx, key(i), load(i))
				case 3:
					v, err = c.Refresh(ctx, key(i), load(i))
				case 4:
					var m map[int]int
					m, err = GetOrLoadMany(ctx, c, []int{i, i, (i + 1) % keys}, key, loadMany)
					v = m[i]
				}
				if err == nil && v < least || err != nil && !errors.Is(err, ErrNotFound) {
					t.Errorf("%s: got %d, %v; %d was acknowledged", key(i), v, err, least)
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	noGuards(t, c)
}

// A panic in a background load doesn't leave its callers with the panic forever.
func TestPanicBehind(t *testing.T) {
	c := openInside(t, Options[explosive]{Policy: Policy{StoreBehind: true}})
	for _, where := range []string{"marshal", "never"} {
		exploding.Store(&where)
		want := explosive(len(where))
		load := func(context.Context, *Entry[explosive]) (explosive, error) { return want, nil }
		if v, err := c.GetOrLoad(t.Context(), "k", load); v != want || err != nil {
			t.Errorf("%s: %d, %v", where, v, err)
		}
		noGuards(t, c)
	}
}

// A background load that panics counts as failed, since no caller waits for it. It releases its lease and its slot.
func TestPanicInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options[int]{
			Name:   "test",
			Policy: Policy{TTL: time.Minute, StaleWhileRevalidate: time.Hour, Jitter: -1},
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i, load := range []Loader[int]{
			func(context.Context, *Entry[int]) (int, error) { panic("no") },
			func(context.Context, *Entry[int]) (int, error) { panic(ErrNotFound) },
			func(context.Context, *Entry[int]) (int, error) { runtime.Goexit(); return 0, nil },
		} {
			if err := c.Set(t.Context(), "k", i); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			for range 10 {
				if v, err := c.GetOrLoad(t.Context(), "k", load); v != i || err != nil {
					t.Errorf("%d, %v", v, err)
				}
				synctest.Wait()
			}
			if n := c.Stats().LoadErrors; n != uint64(i+1) {
				t.Errorf("%d loads failed", n)
			}
			if n := c.Stats().LoadsRunning; n != 0 {
				t.Errorf("%d loads run", n)
			}
			time.Sleep(time.Minute)
		}
		noGuards(t, c)
	})
}
