package rawtest

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Conn is the server's end of a connection in memory whose client sends some bytes, and then nothing. A server that waits for more
// gets the end of the input, but for net/http's read in the background, by which it notices that a client leaves: that waits
// until the server ends it. So nothing depends on time.
type Conn struct {
	mu      sync.Mutex
	change  sync.Cond
	in      []byte
	out     bytes.Buffer
	expired bool          // the deadline for reading is over
	closed  bool          //
	ended   chan struct{} // closed when no more is written
	once    sync.Once
}

func newConn(in []byte) *Conn {
	c := &Conn{in: in, ended: make(chan struct{})}
	c.change.L = &c.mu
	return c
}

// Done returns a channel that is closed when the server has answered.
func (c *Conn) Done() <-chan struct{} { return c.ended }

func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.expired:
			return 0, os.ErrDeadlineExceeded
		case len(c.in) > 0:
			n := copy(p, c.in)
			c.in = c.in[n:]
			return n, nil
		case len(p) != 1: // one byte is for the read in the background
			return 0, io.EOF
		}
		c.change.Wait()
	}
}

func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	return c.out.Write(p)
}

// Close ends the connection.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.change.Broadcast()
	return c.CloseWrite()
}

// CloseWrite says that no more is written: net/http waits for a while after it.
func (c *Conn) CloseWrite() error {
	c.once.Do(func() { close(c.ended) })
	return nil
}

// SetReadDeadline knows deadlines that are over and those that never are.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.expired = !t.IsZero() && t.Before(time.Now())
	c.mu.Unlock()
	c.change.Broadcast()
	return nil
}

// SetWriteDeadline does nothing.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is SetReadDeadline.
func (c *Conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// LocalAddr returns the same address for all.
func (c *Conn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// RemoteAddr returns the same address for all.
func (c *Conn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50000} }

// output is all that the server has written.
func (c *Conn) output() []byte {
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.out.Bytes())
}

// Listener has connections accepted that are given to it.
type Listener struct {
	conns  chan *Conn
	closed chan struct{}
	once   sync.Once
}

// NewListener makes a Listener.
func NewListener() *Listener { return &Listener{conns: make(chan *Conn), closed: make(chan struct{})} }

// Serve has a server accept the connection, and waits until it has answered.
func (l *Listener) Serve(c *Conn) {
	select {
	case l.conns <- c:
		<-c.Done()
	case <-l.closed:
	}
}

// Accept is for the server.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns that of the connections.
func (l *Listener) Addr() net.Addr { return (&Conn{}).LocalAddr() }
