package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// ear observes the connection of invalidations of one process.
type ear struct {
	received atomic.Int64 // bytes
	mu       sync.Mutex   // held while nothing may arrive
}

// heardConn notices whether it is the one of invalidations.
type heardConn struct {
	net.Conn
	ear    *ear
	stream atomic.Bool
}

func (c *heardConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\r\nsubscribe\r\n")) {
		c.stream.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *heardConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.stream.Load() {
		c.ear.mu.Lock()
		defer c.ear.mu.Unlock()
		c.ear.received.Add(int64(n))
	}
	return n, err
}

// client returns a client whose connection of invalidations is observed.
func (e *ear) client(t testing.TB, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: addr, Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &heardConn{Conn: conn, ear: e}, nil
	}})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// A process hears only of the caches that it has, and not of other services of the same Redis.
func TestOtherNamesAreNotHeard(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var e ear
	r := openedRedis(t, e.client(t, s.Addr()), tiered.RedisOptions{Heartbeat: time.Hour, Timeout: 5 * time.Second})
	// Names of which one begins with the other, as prefixes in Redis can't.
	user := newCache(t, tiered.Options[string]{Name: "user", Redis: r, Policy: longLived})
	users := newCache(t, tiered.Options[string]{Name: "users", Redis: r, Policy: longLived})
	other := newCache(t, tiered.Options[string]{Name: "user-s", Redis: newRedis(t, s, tiered.RedisOptions{Heartbeat: 20 * time.Millisecond}), Policy: longLived})
	for _, name := range []string{"user", "users", "use"} {
		s.Do("SET", "tc:"+name+":k", `"old"`)
	}
	keep(t, user, "k", "old")
	keep(t, users, "k", "old")
	before := e.received.Load()
	for i := range 1000 {
		if err := other.Set(t.Context(), fmt.Sprint("k", i), "v", "tag"); err != nil {
			t.Fatal(err)
		}
	}
	s.Do("SET", "tc:use:k", `"new"`)
	s.Do("SET", "tc:user:k", `"new"`)
	s.Do("DEL", "tc:users:k")
	follows(t, user, "k", "new")
	follows(t, users, "k", "")
	if n := e.received.Load() - before; n == 0 || n > 400 {
		t.Errorf("%d bytes arrived, want two reports", n)
	}
}

// Until Redis has confirmed that it reports a new cache's changes, nothing is served from its local tier. The others go on.
func TestNewCacheIsNotHeardYet(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var e ear
	r := openedRedis(t, e.client(t, s.Addr()), tiered.RedisOptions{Heartbeat: time.Hour, Timeout: time.Second})
	first := newCache(t, tiered.Options[string]{Name: "first", Redis: r, Policy: longLived})
	s.Do("SET", "tc:first:k", `"v"`)
	s.Do("SET", "tc:late:k", `"old"`)
	keep(t, first, "k", "v")
	e.mu.Lock()
	held := true
	defer func() {
		if held {
			e.mu.Unlock()
		}
	}()
	late := newCache(t, tiered.Options[string]{Name: "late", Redis: r, Policy: longLived})
	for _, want := range []string{"old", "new"} {
		s.Do("SET", "tc:late:k", `"`+want+`"`)
		for range 3 {
			if got, err := late.Lookup(t.Context(), "k"); err != nil || got.Value != want || got.Tier != tiered.Remote {
				t.Errorf("%+v, %v; want %q from Redis", got, err, want)
			}
		}
		if err := late.Set(t.Context(), "set here", want); err != nil {
			t.Error(err)
		}
		if got, err := late.Lookup(t.Context(), "set here"); err != nil || got.Value != want || got.Tier != tiered.Remote {
			t.Errorf("%+v, %v; want %q from Redis", got, err, want)
		}
	}
	if got, err := first.Lookup(t.Context(), "k"); err != nil || got.Tier != tiered.Local {
		t.Errorf("the other cache: %+v, %v", got, err)
	}
	e.mu.Unlock()
	held = false
	keep(t, late, "k", "new")
	if got, err := first.Lookup(t.Context(), "k"); err != nil || got.Tier != tiered.Local {
		t.Errorf("the other cache, then: %+v, %v", got, err)
	}
	s.Do("DEL", "tc:late:k")
	follows(t, late, "k", "")
}

// What other processes and programs change is heard by a cache that was opened when its Redis had been in use for long, in any
// state of the connection.
func TestLateCache(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p, r, first := behind(t, s, lively(tiered.Tracking))
	other := newRedis(t, s, tiered.RedisOptions{})
	of := func(r *tiered.Redis, name string) *tiered.Cache[string] {
		return newCache(t, tiered.Options[string]{Name: name, Redis: r, Policy: longLived})
	}
	open := func(name string) *tiered.Cache[string] { return of(r, name) }
	for i, opened := range []func(name string) *tiered.Cache[string]{
		open,
		func(name string) *tiered.Cache[string] { // while it connects again
			p.Refuse(true)
			p.Cut()
			defer p.Refuse(false)
			return open(name)
		},
		func(name string) *tiered.Cache[string] { // as the connection ends
			go p.Cut()
			return open(name)
		},
		func(name string) *tiered.Cache[string] { // while nothing arrives
			p.StallReplies(true)
			defer p.StallReplies(false)
			return open(name)
		},
		func(name string) *tiered.Cache[string] { // closed and opened again
			if err := open(name).Close(); err != nil {
				t.Error(err)
			}
			p.Cut()
			return open(name)
		},
	} {
		name := fmt.Sprint("late", i)
		late, theirs := opened(name), of(other, name)
		waitFor(t, func() bool { return r.Status() == nil })
		for _, want := range []string{"1", "2"} {
			if err := errors.Join(theirs.Set(t.Context(), "k", want, "tag"), theirs.Set(t.Context(), "l", want)); err != nil {
				t.Fatal(err)
			}
			follows(t, late, "k", want)
			follows(t, late, "l", want)
		}
		waitFor(t, func() bool { e, _ := late.Lookup(t.Context(), "k"); return e.Tier == tiered.Local })
		if err := theirs.InvalidateTags(t.Context(), "tag"); err != nil {
			t.Fatal(err)
		}
		follows(t, late, "k", "")
		waitFor(t, func() bool { e, _ := late.Lookup(t.Context(), "l"); return e.Tier == tiered.Local })
		s.Do("SET", "tc:"+name+":l", `"foreign"`)
		follows(t, late, "l", "foreign")
		s.Do("SET", "tc:test:k", fmt.Sprintf(`"%d"`, i))
		follows(t, first, "k", fmt.Sprint(i))
	}
}
