//go:build !windows

package chaos

import (
	"bytes"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"
)

// detour is a connection through a proxy that reports the server's address as its own: a failover client closes
// connections whose address isn't the master's.
type detour struct {
	*net.TCPConn
	server net.Addr
}

// RemoteAddr returns the server's address.
func (d detour) RemoteAddr() net.Addr { return d.server }

// lag is the delay between a worker and Redis.
type lag struct {
	Stream time.Duration // of what arrives on connections that subscribed to a channel
	Data   time.Duration // on other connections in each direction, on average: one connection may overtake another
}

// delayedConn is a connection with a lag.
type delayedConn struct {
	detour
	lag    lag
	stream atomic.Bool
}

func (l lag) wrap(conn detour) net.Conn {
	if l == (lag{}) {
		return conn
	}
	return &delayedConn{detour: conn, lag: l}
}

// Write notices whether the connection subscribes to a channel.
func (l *delayedConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\r\nsubscribe\r\n")) {
		l.stream.Store(true)
	}
	l.delay()
	return l.detour.Write(b)
}

func (l *delayedConn) Read(b []byte) (int, error) {
	n, err := l.detour.Read(b)
	if l.stream.Load() {
		time.Sleep(l.lag.Stream)
	} else {
		l.delay()
	}
	return n, err
}

// delay sleeps for a random time, as the network would take it.
func (l *delayedConn) delay() {
	if !l.stream.Load() {
		time.Sleep(time.Duration(rand.Int64N(2*int64(l.lag.Data) + 1)))
	}
}
