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

// Tap measures when a client receives a message with a given mark, and when it has handled it. It doesn't poll the cache, which
// would keep a core busy: the goroutine that reads from a connection handles all it has read before it reads
// again. So the mark arrives when a Read returns it, and is handled when the next Read begins. The zero Tap is ready to use.
type Tap struct {
	mu      sync.Mutex
	mark    []byte // nil: none is expected
	handled chan Receipt
}

// Receipt says when a mark arrived, and when it was handled.
type Receipt struct{ Arrived, Handled time.Time }

// Expect makes Await return the next occurrence of the mark.
func (t *Tap) Expect(mark string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mark = []byte(mark)
	if t.handled == nil {
		t.handled = make(chan Receipt, 1)
	}
}

// Await waits for the mark of the last Expect.
func (t *Tap) Await(tb testing.TB) Receipt {
	tb.Helper()
	const patience = time.Minute
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case s := <-t.handled:
		return s
	case <-late.C:
		tb.Fatalf("%s didn't arrive within %v", t.mark, patience)
		return Receipt{}
	}
}

// Client returns a client of the server whose connections are observed.
func (t *Tap) Client(tb testing.TB, s *Server) *redis.Client {
	tb.Helper()
	return closeOnCleanup(tb, redis.NewClient(&redis.Options{
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

// Conn returns a connection that is observed.
func (t *Tap) Conn(conn net.Conn) net.Conn { return &tappedConn{Conn: conn, tap: t} }

type tappedConn struct {
	net.Conn
	tap     *Tap
	tail    []byte // the end of the last Read, for a mark that is split between two
	arrived time.Time
}

func (c *tappedConn) Read(p []byte) (int, error) {
	if !c.arrived.IsZero() {
		c.tap.handled <- Receipt{c.arrived, time.Now()}
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
		p = seam // has all of p, and the beginning of a mark that is split between three Reads
	}
	c.tail = slices.Clone(p[max(0, len(p)-len(mark)+1):])
	if found {
		c.tap.mark, c.tail = nil, nil
	}
	return found
}
