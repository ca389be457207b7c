package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// trackingModes are those in which Redis itself reports changes.
var trackingModes = map[string]tiered.Invalidation{"tracking": tiered.Tracking, "keys": tiered.TrackingKeys}

// inEach runs the test in each of the modes at the same time, with a server of its own.
func inEach(t *testing.T, modes map[string]tiered.Invalidation, test func(t *testing.T, s *redistest.Server, how tiered.Invalidation)) {
	t.Parallel()
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			test(t, redistest.Start(t), how)
		})
	}
}

// Redis reports nothing of a SWAPDB: the canaries notice it.
func TestSwappedDatabases(t *testing.T) { inEach(t, trackingModes, swapDatabases) }

func swapDatabases(t *testing.T, s *redistest.Server, how tiered.Invalidation) {
	for _, db := range []int{0, 3} {
		var log lines
		o := brisk(how, &log)
		in := func(db int) *tiered.Cache[string] {
			client := redis.NewClient(&redis.Options{Addr: s.Addr(), DB: db})
			t.Cleanup(func() { _ = client.Close() })
			return newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, o), Policy: longLived})
		}
		if err := in(1).Set(t.Context(), "k", "other", "tag"); err != nil { // of which c isn't told
			t.Fatal(err)
		}
		c := in(db)
		if err := c.Set(t.Context(), "k", "old", "tag"); err != nil {
			t.Fatal(err)
		}
		for n, want := range []string{"other", "old", "other", ""} {
			// Of two swaps between two canaries they notice nothing. There are two processes.
			for before := calls(s, "eval"); calls(s, "eval") < before+6; {
				keep(t, c, "k", map[string]string{"other": "old", "old": "other", "": "other"}[want])
			}
			if n == 3 {
				s.Do("SWAPDB", db, 7) // which is empty
			} else {
				s.Do("SWAPDB", db, 1)
			}
			late := time.Now().Add(o.Heartbeat + o.Timeout + time.Second) // of a slow machine
			for v := "?"; v != want; v, _ = c.Get(t.Context(), "k") {
				if time.Now().After(late) {
					t.Fatalf("database %d: it still has %q, want %q: %+v", db, v, want, c.Stats())
				}
			}
		}
		if n := c.Stats().Unverified; n > 0 {
			t.Errorf("%d were served though Redis answers", n)
		}
		s.Do("FLUSHALL")
	}
}

// Data is often brought in like this: a flush of another database, of which Redis tells, and then a swap.
func TestSwappedAfterAFlush(t *testing.T) { inEach(t, trackingModes, swapAfterAFlush) }

func swapAfterAFlush(t *testing.T, s *redistest.Server, how tiered.Invalidation) {
	var log lines
	o := brisk(how, &log)
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), o), Policy: longLived})
	if err := c.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	keep(t, c, "k", "old")
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), DB: 1})
	defer client.Close()
	if err := client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for n := c.Stats().RemoteHits; c.Stats().RemoteHits == n; { // it is read again
		if v, err := c.Get(t.Context(), "k"); v != "old" || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
	}
	client.Set(t.Context(), "tc:test:k", `"new"`, 0)
	s.Do("SWAPDB", 0, 1)
	follows(t, c, "k", "new")
}

// While nothing happens, nothing is read again.
func TestCanariesDisturbNothing(t *testing.T) { inEach(t, trackingModes, sendCanaries) }

func sendCanaries(t *testing.T, s *redistest.Server, how tiered.Invalidation) {
	var log lines
	s.Do("SET", "tc:test:k", `"v"`) // before anybody listens: there is no report of it to come
	o := brisk(how, &log)
	r := openedRedis(t, s.Client(t), o)
	c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
	keep(t, c, "k", "v")
	kept := c.Stats()
	for before := calls(s, "ping"); calls(s, "ping") < before+10; {
		if v, err := c.Get(t.Context(), "k"); v != "v" || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
	}
	if st := c.Stats(); st.RemoteHits > kept.RemoteHits || st.Bypassed > 0 || log.String() != "" {
		t.Errorf("%+v, before %+v\n%v", st, kept, &log)
	}
}

// go-redis sends a canary once more if it had no answer. Databases may have been swapped meanwhile, so that each has taken the canary.
func TestSwappedBeforeARepeatedCanary(t *testing.T) { inEach(t, trackingModes, swapBeforeARepetition) }

func swapBeforeARepetition(t *testing.T, s *redistest.Server, how tiered.Invalidation) {
	var log lines
	options := *s.Client(t).Options()
	cut := &cutCanary{meanwhile: func() { s.Do("SWAPDB", 0, 1) }}
	options.Dialer = cut.dial
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, brisk(how, &log)), Policy: longLived})
	if err := c.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	keep(t, c, "k", "old")
	cut.armed.Store(true)
	waitFor(t, cut.done.Load)
	follows(t, c, "k", "")
}

// cutCanary ends a connection after Redis has executed a canary, and before the client has the answer.
type cutCanary struct {
	armed, done atomic.Bool
	meanwhile   func()
}

func (c *cutCanary) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &cuttableConn{Conn: conn, cut: c}, nil
}

type cuttableConn struct {
	net.Conn
	cut    *cutCanary
	canary atomic.Bool // its answer is awaited
}

func (c *cuttableConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(":mark\r\n")) && bytes.Contains(b, []byte("\r\neval\r\n")) && c.cut.armed.CompareAndSwap(true, false) {
		c.canary.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *cuttableConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.canary.CompareAndSwap(true, false) {
		return n, err
	}
	c.cut.meanwhile()
	c.cut.done.Store(true)
	return 0, errors.Join(io.ErrUnexpectedEOF, c.Close())
}
