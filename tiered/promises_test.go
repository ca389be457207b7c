package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func openedRedis(t testing.TB, client redis.UniversalClient, o tiered.RedisOptions) *tiered.Redis {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second // so that a slow machine isn't taken for a slow Redis
	}
	r, err := tiered.NewRedis(client, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		r = nil // for the same reason as in newCache
	})
	return r
}

// gated is a loader that tells when it runs and waits to be let go.
func gated(v string) (load tiered.Loader[string], running, open chan struct{}) {
	running, open = make(chan struct{}, 100), make(chan struct{})
	return func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
		running <- struct{}{}
		select {
		case <-open:
			return v, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}, running, open
}

// G1. The key holds an empty value, which the codec can't decode, so that the load gets no lease. Another process deletes the
// key while the load is under way.
func TestEmptyValueResurrects(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	b := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	s.Do("SET", "tc:test:k", "")
	load, running, open := gated("old")
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = a.GetOrLoad(t.Context(), "k", load) })
	<-running
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	close(open)
	wg.Wait()
	if v, err := b.Get(t.Context(), "k"); err != tiered.ErrNotFound {
		t.Errorf("after the Delete returned: %q, %v", v, err)
	}
}

// replyHolder holds back the replies to requests with the mark while it is armed.
type replyHolder struct {
	mark    string
	armed   atomic.Bool
	held    atomic.Int32
	release chan struct{}
}

type replyHoldingConn struct {
	net.Conn
	holder *replyHolder
	marked atomic.Bool
}

func (c *replyHoldingConn) Write(b []byte) (int, error) {
	if c.holder.armed.Load() && bytes.Contains(b, []byte(c.holder.mark)) {
		c.marked.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *replyHoldingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.marked.Swap(false) {
		c.holder.held.Add(1)
		<-c.holder.release
	}
	return n, err
}

// G1. Another goroutine of this process is reading the epoch when it calls Clear, and the reply, from before the Clear, arrives after it.
func TestClearWhileTheEpochIsRead(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	h := &replyHolder{mark: "type(e)~=", release: make(chan struct{})}
	client := redis.NewClient(&redis.Options{
		Addr: s.Addr(), ReadTimeout: -1,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &replyHoldingConn{Conn: conn, holder: h}, err
		},
	})
	t.Cleanup(func() { _ = client.Close() })
	r := openedRedis(t, client, tiered.RedisOptions{Timeout: 20 * time.Second})
	c := newCache(t, tiered.Options[string]{Redis: r})
	other := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	if err := other.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	h.armed.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.Get(t.Context(), "k") })
	waitFor(t, func() bool { return h.held.Load() == 1 })
	h.armed.Store(false)
	if err := c.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	gets := make(chan error, 1)
	wg.Go(func() {
		v, err := c.Get(t.Context(), "k")
		if err == nil {
			err = errors.New("served " + v)
		}
		gets <- err
	})
	time.Sleep(300 * time.Millisecond) // it joins who is asking; there is nothing to see of it
	close(h.release)
	if err := <-gets; err != tiered.ErrNotFound {
		t.Errorf("a Get that began after Clear had returned: %v", err)
	}
	wg.Wait()
}

// G2. Redis is well, the stream is new, and what the local tier has from before isn't verified. The caller's own context is
// over.
func TestCancelledGetIsServedUnverified(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := faultproxy.Start(t, s.Addr())
	listening := redis.NewClient(&redis.Options{Addr: p.Addr()})
	t.Cleanup(func() { _ = listening.Close() })
	r := openedRedis(t, listening, tiered.RedisOptions{Heartbeat: 50 * time.Millisecond, Timeout: time.Second})
	a := newCache(t, tiered.Options[string]{Redis: r})
	b := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	if err := b.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { // it is in the local tier
		e, err := a.Lookup(t.Context(), "k")
		return err == nil && e.Tier == tiered.Local
	})
	p.Refuse(true)
	p.Cut()
	waitFor(t, func() bool { return r.Status() != nil })
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	p.Refuse(false)
	waitFor(t, func() bool { return r.Status() == nil })
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if v, err := a.Get(over, "k"); err == nil {
			t.Fatalf("%q was deleted before the stream was well again", v)
		}
	}
}

const strayLease = "\xc1tl\x01" + "0123456789abcdef" + "\x88\x27\x00" // 5000 ms, not extended

// A lease that doesn't expire, as after a PERSIST, is no longer one when its own time is over.
func TestLeaseWithoutExpiry(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{
		Redis:  openedRedis(t, s.Client(t), tiered.RedisOptions{}),
		Policy: tiered.Policy{LoadTimeout: 9 * time.Second},
	})
	s.Do("SET", "tc:test:k", strayLease)
	if v, err := c.GetOrLoad(t.Context(), "k", value("v")); v != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

// lossyConn loses the reply to the first lease, with the connection.
type lossyConn struct {
	net.Conn
	lost   *atomic.Bool
	losing bool
}

func (c *lossyConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\xc1tl")) && c.lost.CompareAndSwap(false, true) {
		c.losing = true
	}
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.losing {
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}

// The client sends the lease again, since it got no reply, and finds its own.
func TestLostReplyToALease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var lost atomic.Bool
	client := redis.NewClient(&redis.Options{
		Addr: s.Addr(),
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &lossyConn{Conn: conn, lost: &lost}, err
		},
	})
	t.Cleanup(func() { _ = client.Close() })
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, tiered.RedisOptions{})})
	start := time.Now()
	if v, err := c.GetOrLoad(t.Context(), "k", value("v")); v != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if took := time.Since(start); took > 3*time.Second || !lost.Load() {
		t.Errorf("it waited %v for its own lease (lost: %v)", took, lost.Load())
	}
}

// A batch that takes leases in a second round extends them too.
func TestSecondRoundOfLeases(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	s.Do("SET", "tc:test:b", strayLease, "PX", "500")
	open, running := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := tiered.GetOrLoadMany(t.Context(), c, []string{"a", "b"}, func(k string) string { return k },
			func(_ context.Context, ids []string) (map[string]string, error) {
				if ids[0] == "b" {
					close(running)
					<-open
				}
				return map[string]string{ids[0]: "v"}, nil
			})
		if err != nil {
			t.Error(err)
		}
	})
	<-running
	for deadline := time.Now().Add(7 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if s.Do("EXISTS", "tc:test:b") != int64(1) {
			t.Error("the lease ran out while the load was under way")
			break
		}
	}
	close(open)
	wg.Wait()
}

// With PubSub, who waits for a lease of this process's own is woken when the load is over.
func TestPubSubWaitsForItsOwnProcess(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{
		Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{Invalidation: tiered.PubSub}),
	})
	load, running, open := gated("first")
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.GetOrLoad(t.Context(), "k", load) })
	<-running
	if err := c.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := make(chan time.Duration, 1)
	var over atomic.Int64
	wg.Go(func() {
		if v, err := c.GetOrLoad(t.Context(), "k", value("second")); v != "second" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		took <- time.Since(time.Unix(0, over.Load()))
	})
	time.Sleep(300 * time.Millisecond) // it has met the lease; nothing tells
	over.Store(time.Now().UnixNano())
	close(open)
	if d := <-took; d > 2*time.Second {
		t.Errorf("it waited for %v more when the lease was gone", d)
	}
	wg.Wait()
}

// A flight of a batch that waits for another process gets its value when that comes, not when the batch's own load ends.
func TestBatchHoldsItsWaitersBack(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newCache(t, tiered.Options[string]{
		Redis:  openedRedis(t, s.Client(t), tiered.RedisOptions{}),
		Policy: tiered.Policy{LoadTimeout: 4 * time.Second},
	})
	s.Do("SET", "tc:test:b", strayLease, "PX", "60000")
	running := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = tiered.GetOrLoadMany(t.Context(), c, []string{"a", "b"}, func(k string) string { return k },
			func(ctx context.Context, ids []string) (map[string]string, error) {
				close(running)
				<-ctx.Done()
				return nil, ctx.Err()
			})
	})
	<-running
	s.Do("SET", "tc:test:b", `"there"`)
	start := time.Now()
	v, err := c.GetOrLoad(t.Context(), "b", value("loaded"))
	if took := time.Since(start); v != "there" || err != nil || took > 2*time.Second {
		t.Errorf("%q, %v after %v", v, err, took)
	}
	wg.Wait()
}

// A reader isn't made to wait for a refresh, nor given its error, while Redis has a fresh value.
func TestReaderOfAKeyThatIsRefreshed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	b := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), tiered.RedisOptions{})})
	if err := a.Set(t.Context(), "k", "fresh"); err != nil {
		t.Fatal(err)
	}
	running, failed := make(chan struct{}), errors.New("the source is down")
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = b.Refresh(t.Context(), "k", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			close(running)
			time.Sleep(time.Second) // a slow source
			return "", failed
		})
	})
	<-running
	if v, err := b.GetOrLoad(t.Context(), "k", value("loaded")); v != "fresh" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	wg.Wait()
}
