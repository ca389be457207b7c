//go:build !windows

package redistest

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Tap tells when a client's process has taken in what mentions a mark, without asking the cache, whose spinning reads
// would have a core for themselves: the goroutine that listens to a connection handles all it has read before it reads
// again. So the mark arrives when a Read returns it, and is handled when the next Read begins. The zero Tap is ready.
type Tap struct {
	mu      sync.Mutex
	mark    []byte // nil: nothing is looked for
	handled chan Sighting
}

// Sighting is when a mark came.
type Sighting struct{ Arrived, Handled time.Time }

// Expect has the next mention of the mark reported.
func (t *Tap) Expect(mark string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mark = []byte(mark)
	if t.handled == nil {
		t.handled = make(chan Sighting, 1)
	}
}

// Await returns the sighting of what is expected.
func (t *Tap) Await(tb testing.TB) Sighting {
	tb.Helper()
	const patience = time.Minute
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case s := <-t.handled:
		return s
	case <-late.C:
		tb.Fatalf("%s wasn't heard of within %v", t.mark, patience)
		return Sighting{}
	}
}

// Client returns a client of the server whose connections are tapped.
func (t *Tap) Client(tb testing.TB, s *Server) *redis.Client {
	tb.Helper()
	return closedWith(tb, redis.NewClient(&redis.Options{
		Addr: s.Addr(),
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return t.Conn(conn), nil
		},
	}))
}

// Conn returns the connection, tapped.
func (t *Tap) Conn(conn net.Conn) net.Conn { return &tappedConn{Conn: conn, tap: t} }

type tappedConn struct {
	net.Conn
	tap     *Tap
	tail    []byte // of the last Read, lest a mark in two parts be missed
	arrived time.Time
}

func (c *tappedConn) Read(p []byte) (int, error) {
	if !c.arrived.IsZero() {
		c.tap.handled <- Sighting{c.arrived, time.Now()}
		c.arrived = time.Time{}
	}
	n, err := c.Conn.Read(p)
	if c.mentioned(p[:n]) {
		c.arrived = time.Now()
	}
	return n, err
}

func (c *tappedConn) mentioned(p []byte) bool {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	mark := c.tap.mark
	if mark == nil {
		return false
	}
	seam := append(c.tail, p[:min(len(p), len(mark)-1)]...)
	found := bytes.Contains(p, mark) || bytes.Contains(seam, mark)
	if len(p) < len(mark) {
		p = seam // has all of p, and what a mark in three parts begins with
	}
	c.tail = slices.Clone(p[max(0, len(p)-len(mark)+1):])
	if found {
		c.tap.mark, c.tail = nil, nil
	}
	return found
}
