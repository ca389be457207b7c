package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// laggard holds what the caches write to Redis back if mark is in it, as a network does that has to send a packet again.
type laggard struct {
	mark    string
	armed   atomic.Bool
	held    atomic.Int32
	release chan struct{}
}

type laggingConn struct {
	net.Conn
	laggard *laggard
}

func (c laggingConn) Write(b []byte) (int, error) {
	if l := c.laggard; l.armed.Load() && bytes.Contains(b, []byte(l.mark)) {
		l.held.Add(1)
		<-l.release
	}
	return c.Conn.Write(b)
}

// newLaggingRedis makes a second tier whose client waits for ever for what is held back. That is none of what NewRedis itself
// sends to find out what Redis allows.
func newLaggingRedis(t *testing.T, s *redistest.Server, mark string, timeout time.Duration) (*tiered.Redis, *laggard) {
	t.Helper()
	l := &laggard{mark: mark, release: make(chan struct{})}
	client := redis.NewClient(&redis.Options{
		Addr: s.Addr(),
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return laggingConn{conn, l}, err
		},
		ReadTimeout: -1, WriteTimeout: -1,
	})
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Timeout: timeout, Invalidation: tiered.None}) // only the cache's own calls
	if err != nil {
		t.Fatal(err)
	}
	l.armed.Store(true)
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), client.Close()); err != nil {
			t.Error(err)
		}
	})
	return r, l
}

// A load's write to Redis that was given up arrives late. When a Delete has returned nil meanwhile the value is gone for
// good.
func TestLateStoreDoesNotComeBack(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r, l := newLaggingRedis(t, s, "oldvalue", 500*time.Millisecond)
	c := newCache(t, tiered.Options[string]{Redis: r})
	if v, err := c.GetOrLoad(t.Context(), "k", value("oldvalue")); v != "oldvalue" || err != nil {
		t.Fatalf("%q, %v", v, err)
	}
	if err := c.Delete(t.Context(), "k"); err != nil || l.held.Load() != 1 {
		t.Errorf("a Delete while the store is on its way: %v", err)
	}
	close(l.release)
	if err := r.Close(); err != nil { // once nothing is on its way any more
		t.Fatal(err)
	}
	if n := s.Do("EXISTS", "tc:test:k"); n != int64(0) {
		t.Error("the value came back")
	}
}

// A Set that was given up arrives late. A Delete may fail meanwhile, but when it has returned nil the value is gone for
// good.
func TestLateSetDoesNotComeBack(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r, l := newLaggingRedis(t, s, "oldvalue", 500*time.Millisecond)
	c := newCache(t, tiered.Options[string]{Redis: r})
	if err := c.Set(t.Context(), "k", "oldvalue"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), "k"); !errors.Is(err, context.DeadlineExceeded) || l.held.Load() != 1 {
		t.Errorf("a Delete while the Set is on its way: %v", err)
	}
	if _, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
		t.Errorf("the failed Delete's local part: %v", err)
	}
	close(l.release)
	waitFor(t, func() bool { return c.Delete(t.Context(), "k") == nil })
	if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
		t.Errorf("%q, %v", v, err)
	}
}

// The same for a Set whose caller left.
func TestLateSetDoesNotOverwrite(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r, l := newLaggingRedis(t, s, "oldvalue", 5*time.Second)
	c := newCache(t, tiered.Options[string]{Redis: r})
	ctx, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Set(ctx, "k", "oldvalue"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	waitFor(t, func() bool { return l.held.Load() == 1 })
	leave()
	wg.Wait()
	wg.Go(func() {
		if err := c.Set(t.Context(), "k", "new"); err != nil {
			t.Error(err)
		}
	})
	close(l.release)
	wg.Wait()
	if got := s.Do("GET", "tc:test:k").(string); !strings.HasSuffix(got, `"new"`) {
		t.Errorf("in Redis: %q", got)
	}
}

// A Refresh that supersedes a load whose value is on its way to Redis comes there after it.
func TestRefreshIsStoredAfterAnEarlierLoad(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r, l := newLaggingRedis(t, s, "oldvalue", time.Minute)
	c := newCache(t, tiered.Options[string]{Redis: r})
	var wg sync.WaitGroup
	wg.Go(func() {
		if v, err := c.GetOrLoad(t.Context(), "k", value("oldvalue")); v != "oldvalue" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
	waitFor(t, func() bool { return l.held.Load() == 1 })
	loaded := make(chan struct{})
	wg.Go(func() {
		v, err := c.Refresh(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) {
			close(loaded)
			return "new", nil
		})
		if v != "new" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
	<-loaded
	close(l.release)
	wg.Wait()
	if got := s.Do("GET", "tc:test:k").(string); !strings.HasSuffix(got, `"new"`) {
		t.Errorf("in Redis: %q", got)
	}
}

// What is loaded right after a Delete is stored.
func TestLoadAfterDeleteIsStored(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{})})
	for i := range 500 {
		if err := c.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		if v, err := c.GetOrLoad(t.Context(), "k", value("v")); v != "v" || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
		if n := s.Do("EXISTS", "tc:test:k"); n != int64(1) {
			t.Fatalf("round %d: the value isn't in Redis", i)
		}
	}
}

// A key whose write hangs takes none of the others in its batches along.
func TestBatchWithAHangingKey(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r, l := newLaggingRedis(t, s, "oldvalue", 500*time.Millisecond)
	c := newCache(t, tiered.Options[string]{Redis: r})
	if err := c.Set(t.Context(), "stuck", "oldvalue"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	err := c.SetMany(t.Context(), map[string]string{"a": "1", "stuck": "2", "z": "3"})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another write") {
		t.Errorf("SetMany: %v", err)
	}
	got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"b", "stuck2", "y"}, strings.Clone,
		func(_ context.Context, ids []string) (map[string]string, error) {
			m := make(map[string]string)
			for _, id := range ids {
				m[id] = id
			}
			return m, nil
		})
	if err != nil || len(got) != 3 {
		t.Errorf("GetOrLoadMany: %v, %v", got, err)
	}
	if n := s.Do("EXISTS", "tc:test:a", "tc:test:z", "tc:test:b", "tc:test:y"); n != int64(4) {
		t.Errorf("%v of 4 other keys are in Redis", n)
	}
	close(l.release)
	waitFor(t, func() bool { return c.SetMany(t.Context(), map[string]string{"a": "1", "stuck": "2"}) == nil })
}

// A Get that began while a Delete was under way, and read Redis before it, doesn't put the value back after it.
func TestSlowGetDoesNotUndoDelete(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do("SET", "tc:test:k", `"v1"`)
	r, l := newLaggingRedis(t, s, "'DEL'", time.Minute)
	d := slowDecoder{codec.JSON, new(atomic.Bool), make(chan struct{}), make(chan struct{})}
	c := newCache(t, tiered.Options[string]{Redis: r, Codec: d})
	var deleted, read sync.WaitGroup
	deleted.Go(func() {
		if err := c.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
	})
	waitFor(t, func() bool { return l.held.Load() == 1 })
	read.Go(func() {
		if v, err := c.Get(t.Context(), "k"); v != "v1" && err != tiered.ErrNotFound {
			t.Errorf("%q, %v", v, err)
		}
	})
	<-d.reading
	close(l.release)
	deleted.Wait()
	close(d.goOn)
	read.Wait()
	if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
		t.Errorf("after the Delete: %q, %v", v, err)
	}
}

// slowDecoder lets the first to decode a value wait.
type slowDecoder struct {
	codec.Codec
	first   *atomic.Bool
	reading chan struct{}
	goOn    chan struct{}
}

func (d slowDecoder) Unmarshal(b []byte, v any) error {
	if len(b) > len(`""`) && d.first.CompareAndSwap(false, true) { // New tries the zero value
		close(d.reading)
		<-d.goOn
	}
	return d.Codec.Unmarshal(b, v)
}

// A Get that read Redis before a Refresh doesn't put the older value back after it.
func TestSlowGetDoesNotUndoRefresh(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do("SET", "tc:test:k", `"v1"`)
	d := slowDecoder{codec.JSON, new(atomic.Bool), make(chan struct{}), make(chan struct{})}
	c := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, tiered.RedisOptions{}), Codec: d})
	var wg sync.WaitGroup
	wg.Go(func() {
		if v, err := c.Get(t.Context(), "k"); v != "v1" && err != tiered.ErrNotFound {
			t.Errorf("%q, %v", v, err)
		}
	})
	<-d.reading
	if v, err := c.Refresh(t.Context(), "k", value("v2")); v != "v2" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	close(d.goOn)
	wg.Wait()
	if v, err := c.Get(t.Context(), "k"); v != "v2" || err != nil {
		t.Errorf("after the refresh: %q, %v", v, err)
	}
}

// Nobody waits longer for Redis's time than for anything else, and the first frames have it.
func TestColdClock(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r, l := newLaggingRedis(t, s, "time", time.Minute)
	c := newCache(t, tiered.Options[int]{Redis: r})
	ctx, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Set(ctx, "left", 1) })
	waitFor(t, func() bool { return l.held.Load() == 1 })
	leave()
	wg.Wait()
	close(l.release)

	client := s.Client(t)
	client.AddHook(timeShift(-time.Hour)) // this machine is an hour ahead
	shifted, err := tiered.NewRedis(client, tiered.RedisOptions{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer shifted.Close()
	ahead := newCache(t, tiered.Options[int]{Redis: shifted})
	for i := range 20 {
		wg.Go(func() {
			if err := ahead.Set(t.Context(), fmt.Sprint(i), i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	reader := newCache(t, tiered.Options[int]{Name: "test", Redis: newRedis(t, s, tiered.RedisOptions{})})
	for i := range 20 { // an hour old, by Redis's real time: stale
		if v, err := reader.Get(t.Context(), fmt.Sprint(i)); err != tiered.ErrNotFound {
			t.Errorf("%d was stored by this machine's time: %d, %v", i, v, err)
		}
	}
}

func TestTTLForEverInRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for i, p := range []tiered.Policy{{TTL: math.MaxInt64, Jitter: -1}, {TTL: math.MaxInt64}, {TTL: 1 << 62}} {
		name := fmt.Sprint("forever", i)
		open := func() *tiered.Cache[int] {
			return newCache(t, tiered.Options[int]{Name: name, Redis: newRedis(t, s, tiered.RedisOptions{}), Policy: p})
		}
		if err := open().Set(t.Context(), "k", 7); err != nil {
			t.Error(err)
		}
		s.Do("SET", "tc:"+name+":foreign", "8")
		other := open()
		v, err := other.Get(t.Context(), "k")
		f, err2 := other.Get(t.Context(), "foreign")
		if err := errors.Join(err, err2); err != nil || v != 7 || f != 8 {
			t.Errorf("%v: %d, %d, %v", p.TTL, v, f, err)
		}
		if ms := s.Do("PTTL", "tc:"+name+":k").(int64); ms < 1e12 {
			t.Errorf("%v: PTTL %d", p.TTL, ms)
		}
	}
}
