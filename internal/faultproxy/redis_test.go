//go:build !windows

package faultproxy_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
)

// start returns a server, a proxy for it, and a client of the proxy that respects its callers' deadlines and doesn't retry.
func start(t *testing.T) (*redistest.Server, *faultproxy.Proxy, *redis.Client) {
	t.Helper()
	s := redistest.Start(t)
	p := faultproxy.Start(t, s.Addr())
	c := client(t, p, &redis.Options{MaxRetries: -1})
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	return s, p, c
}

func client(t *testing.T, p *faultproxy.Proxy, o *redis.Options) *redis.Client {
	t.Helper()
	o.Addr, o.ContextTimeoutEnabled, o.ReadTimeout = p.Addr(), true, patience
	o.DialerRetries = 1 // retries would outlive the call, and the test
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

// short returns a context for a call that must be sent, but not succeed.
func short(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*moment)
	t.Cleanup(cancel)
	return ctx
}

func expectTimeout(t *testing.T, err error) {
	t.Helper()
	var timeout net.Error
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) &&
		(!errors.As(err, &timeout) || !timeout.Timeout()) {
		t.Errorf("%v, want a timeout", err)
	}
}

func expectValue(t *testing.T, c *redis.Client) {
	t.Helper()
	if got, err := c.Get(t.Context(), "k").Result(); err != nil || got != "v" {
		t.Errorf("GET k = %q, %v", got, err)
	}
}

func TestRedisCut(t *testing.T) {
	t.Parallel()
	_, p, c := start(t)
	failed := make(chan error)
	go func() { failed <- c.BLPop(context.Background(), 0, "queue").Err() }()
	await(t, "a client that waits", func() bool {
		n, err := c.Do(t.Context(), "CLIENT", "LIST").Text()
		return err == nil && strings.Contains(n, "cmd=blpop")
	})
	p.Cut()
	if err := <-failed; err == nil || errors.Is(err, redis.Nil) {
		t.Errorf("the call that was cut: %v", err)
	}
	expectValue(t, client(t, p, &redis.Options{}))
	await(t, "a call of the old client", func() bool { return c.Get(t.Context(), "k").Err() == nil })
}

func TestRedisStall(t *testing.T) {
	t.Parallel()
	_, p, c := start(t)
	p.Stall(true)
	expectTimeout(t, c.Get(short(t), "k").Err())                              // over an open connection
	expectTimeout(t, client(t, p, &redis.Options{}).Get(short(t), "k").Err()) // over a new one
	p.Stall(false)
	expectValue(t, c)
}

func TestRedisStallReplies(t *testing.T) {
	t.Parallel()
	s, p, c := start(t)
	p.StallReplies(true)
	expectTimeout(t, c.Set(short(t), "k2", "v2", 0).Err())
	await(t, "the server's SET", func() bool { return s.Do("GET", "k2") == "v2" })
	p.StallReplies(false)
	expectValue(t, c)
}

// A request whose sender has given up arrives late, but isn't lost.
func TestRedisLateRequest(t *testing.T) {
	t.Parallel()
	s, p, c := start(t)
	p.Stall(true)
	expectTimeout(t, c.Set(short(t), "k", "late", 0).Err())
	if got := s.Do("GET", "k"); got != "v" {
		t.Errorf("%v came through", got)
	}
	p.Stall(false)
	await(t, "the late SET", func() bool { return s.Do("GET", "k") == "late" })
}

func TestRedisHalfOpen(t *testing.T) {
	t.Parallel()
	s, p, c := start(t)
	p.HalfOpen()
	expectTimeout(t, c.Set(short(t), "k", "lost", 0).Err())
	expectValue(t, c) // over a new connection: the client has closed the other
	await(t, "the black hole's end", func() bool { return p.Conns() == 1 })
	if got := s.Do("GET", "k"); got != "v" {
		t.Errorf("the server has %v", got)
	}
}

func TestRedisRefuse(t *testing.T) {
	t.Parallel()
	_, p, c := start(t)
	p.Refuse(true)
	p.Cut()
	for range 3 {
		if err := c.Get(short(t), "k").Err(); err == nil {
			t.Error("a GET without a server")
		}
	}
	p.Refuse(false)
	await(t, "a call that works", func() bool { return c.Get(t.Context(), "k").Err() == nil })
}

func TestRedisRestart(t *testing.T) {
	t.Parallel()
	s, p, c := start(t)
	s.Kill()
	if err := c.Get(short(t), "k").Err(); err == nil {
		t.Error("a GET without a server")
	}
	s.Restart()
	await(t, "a call that works", func() bool { return c.Set(t.Context(), "k", "v", 0).Err() == nil })
	other := redistest.Start(t)
	p.SetUpstream(other.Addr())
	p.Cut()
	await(t, "a call to the other server", func() bool { return c.Set(t.Context(), "k", "other", 0).Err() == nil })
	if a, b := s.Do("GET", "k"), other.Do("GET", "k"); a != "v" || b != "other" {
		t.Errorf("the servers have %v and %v", a, b)
	}
}

func TestRedisDelay(t *testing.T) {
	t.Parallel()
	const delay = 60 * time.Millisecond
	_, p, c := start(t)
	p.Delay(delay)
	began := time.Now()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d < 2*delay {
		t.Errorf("back after %v", d)
	}
}

// Each command of one connection is executed once, and in order, however the network flaps.
func TestRedisOrder(t *testing.T) {
	t.Parallel()
	s, p, _ := start(t)
	c := client(t, p, &redis.Options{MaxRetries: -1, PoolSize: 1})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		random := rand.New(rand.NewPCG(1, 2))
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				p.Stall(random.IntN(2) == 0)
				p.StallReplies(random.IntN(3) == 0)
				p.Delay(time.Duration(random.IntN(3000)) * time.Microsecond)
			}
		}
	})
	defer wg.Wait()
	defer close(stop)

	const pipelines, commands = 20, 500
	for i := range pipelines {
		replies, err := c.Pipelined(t.Context(), func(to redis.Pipeliner) error {
			for j := range commands {
				to.RPush(t.Context(), "list", i*commands+j)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for j, reply := range replies {
			if n := reply.(*redis.IntCmd).Val(); n != int64(i*commands+j+1) {
				t.Fatalf("command %d got the reply %d", i*commands+j, n)
			}
		}
	}
	list, _ := s.Do("LRANGE", "list", 0, -1).([]any)
	if len(list) != pipelines*commands {
		t.Fatalf("%d elements", len(list))
	}
	for i, got := range list {
		if got != strconv.Itoa(i) {
			t.Fatalf("element %d is %v", i, got)
		}
	}
}
