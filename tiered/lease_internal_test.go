package tiered

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// openOn returns a cache on a server, as in a process of its own.
func openOn(t *testing.T, client redis.UniversalClient, p Policy) *Cache[string] {
	t.Helper()
	return openWithin(t, client, p, 10*time.Second)
}

// openWithin is openOn with that Timeout.
func openWithin(t *testing.T, client redis.UniversalClient, p Policy, timeout time.Duration) *Cache[string] {
	t.Helper()
	r, err := NewRedis(client, RedisOptions{Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Options[string]{Name: "test", Redis: r, MaxCost: 1000, Policy: p})
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

// A lease whose holder died ends when Redis reports its expiry.
func TestDeadHolder(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := openOn(t, s.Client(t), Policy{})
	s.Do("SET", "tc:test:k", string(wire.NewLease(time.Minute).Bytes()), "PX", "300")
	start := time.Now()
	v, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *Entry[string]) (string, error) { return "v", nil })
	if d := time.Since(start); v != "v" || err != nil || d < 200*time.Millisecond || d > 3*time.Second {
		t.Errorf("%q, %v after %v", v, err, d)
	}
}

// A lease without an expiry and without a holder makes readers wait for their LoadTimeout, not forever.
func TestEndlessLease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := openOn(t, s.Client(t), Policy{LoadTimeout: time.Second})
	s.Do("SET", "tc:test:k", string(wire.NewLease(100*time.Millisecond).Bytes()))
	start := time.Now()
	v, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *Entry[string]) (string, error) { return "v", nil })
	t.Logf("%q, %v after %v", v, err, time.Since(start))
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if v, err := c.Refresh(t.Context(), "k", func(context.Context, *Entry[string]) (string, error) { return "v", nil }); v != "v" || err != nil {
		t.Errorf("a refresh: %q, %v", v, err)
	}
}

// loading is a load that a test ends.
type loading struct {
	began, end chan struct{}
	value      string
	err        error
	done       chan struct{}
}

// loadUnder begins a load whose lease has the given length.
func loadUnder(t *testing.T, c *Cache[string], ttl time.Duration) *loading {
	t.Helper()
	l := &loading{began: make(chan struct{}), end: make(chan struct{}), done: make(chan struct{})}
	p := new(inflight.Owner)
	f, mine := c.keys.Join(t.Context(), "k", c.hash("k"), inflight.ForRead, &joinOptions[string]{Owner: p})
	if !mine {
		t.Fatal("there is a load already")
	}
	trip := &job[string]{cache: c, owner: p, caller: t.Context(), flights: []*flight[string]{f}}
	trip.finishes = trip.beginFinishing()
	lease := wire.NewLease(c.policy.LoadTimeout)
	lease.TTL = ttl
	trip.leases.Held = c.remote.NewHeldLeases(lease, remote.Holding{Base: c.base, Life: &c.life, Released: func(key string) { c.keys.Released(key, c.hash(key)) }})
	trip.load = c.loading(func(context.Context, *Entry[string]) (string, error) {
		close(l.began)
		<-l.end
		return "long", nil
	})
	if !c.life.Begin() {
		t.Fatal("closed")
	}
	trip.start()
	go func() {
		defer close(l.done)
		r, _, err := c.await(context.Background(), f, inflight.ForRead, true)
		if l.err = err; r != nil {
			l.value = r.Value
		}
	}()
	<-l.began
	return l
}

func extended(t testing.TB, s *redistest.Server) uint64 {
	t.Helper()
	v, _ := s.Do("GET", "tc:test:k").(string)
	l, ok := wire.ParseLease([]byte(v))
	if !ok {
		t.Fatalf("no lease: %q", v)
	}
	return l.Extended
}

// A load that takes longer than its lease keeps it, and its flight stays the one that callers join.
func TestLeaseIsExtended(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := openOn(t, s.Client(t), Policy{}), openOn(t, s.Client(t), Policy{})
	const ttl = 3 * time.Second // Redis's time: two thirds of it is how long the machine may be busy with other things
	start := time.Now()
	l := loadUnder(t, a, ttl)
	var waiting sync.WaitGroup
	fail := func(context.Context, *Entry[string]) (string, error) {
		t.Error("another load")
		return "", errors.New("not to be loaded")
	}
	waiting.Go(func() {
		if v, err := b.GetOrLoad(t.Context(), "k", fail); v != "long" || err != nil {
			t.Errorf("the other process: %q, %v", v, err)
		}
	})
	observe.Until(t, "five extensions", func() bool { return extended(t, s) >= 5 })
	if d := time.Since(start); d < ttl {
		t.Errorf("after %v", d)
	}
	waiting.Go(func() {
		if v, err := a.GetOrLoad(t.Context(), "k", fail); v != "long" || err != nil {
			t.Errorf("this process: %q, %v", v, err)
		}
	})
	close(l.end)
	<-l.done
	waiting.Wait()
	if v, _ := s.Do("GET", "tc:test:k").(string); !strings.HasSuffix(v, `"long"`) {
		t.Errorf("Redis has %q", v)
	}
	if v, err := a.Get(t.Context(), "k"); v != "long" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

// Loads that end while their leases are being extended leave nothing behind and have no data race.
func TestExtensionsRaceEnds(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := openOn(t, s.Client(t), Policy{})
	for i := range 100 {
		l := loadUnder(t, c, 6*time.Millisecond)
		end := time.AfterFunc(time.Duration(i%10)*time.Millisecond, func() { close(l.end) })
		<-l.done
		end.Stop()
		if l.value != "long" || l.err != nil {
			t.Fatalf("%q, %v", l.value, l.err)
		}
		if err := c.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
	}
	noGuards(t, c)
}
