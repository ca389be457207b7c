package rawtest

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Conn is the server's end of a connection in memory whose client sends some bytes, and then nothing. A Read after these bytes
// returns io.EOF, except for net/http's background read, with which it notices that a client disconnects: that blocks
// until the server ends it. So nothing depends on time.
type Conn struct {
	mu      sync.Mutex
	change  sync.Cond
	in      []byte
	out     bytes.Buffer
	expired bool // the deadline for reading is over
	closed  bool
	ended   chan struct{} // closed when no more is written
	once    sync.Once
}

func newConn(in []byte) *Conn {
	c := &Conn{in: in, ended: make(chan struct{})}
	c.change.L = &c.mu
	return c
}

// Done returns a channel that is closed when the server has responded.
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
		case len(p) != 1: // the background read is of one byte
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

// Close closes the connection.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.change.Broadcast()
	return c.CloseWrite()
}

// CloseWrite ends the output. net/http calls it before it waits for a while and closes the connection.
func (c *Conn) CloseWrite() error {
	c.once.Do(func() { close(c.ended) })
	return nil
}

// SetReadDeadline supports deadlines in the past, and none. Any other deadline never expires.
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

// LocalAddr returns the same address for all connections.
func (c *Conn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// RemoteAddr returns the same address for all connections.
func (c *Conn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50000} }

// output returns everything that the server has written, when it has responded.
func (c *Conn) output() []byte {
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.out.Bytes())
}

// Listener is a net.Listener that accepts the connections given to Serve.
type Listener struct {
	conns  chan *Conn
	closed chan struct{}
	once   sync.Once
}

// NewListener returns a new Listener.
func NewListener() *Listener { return &Listener{conns: make(chan *Conn), closed: make(chan struct{})} }

// Serve passes the connection to Accept, and waits until the server has responded.
func (l *Listener) Serve(c *Conn) {
	select {
	case l.conns <- c:
		<-c.Done()
	case <-l.closed:
	}
}

// Accept returns the next connection given to Serve.
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

// Addr returns the local address of the connections.
func (l *Listener) Addr() net.Addr { return (&Conn{}).LocalAddr() }
