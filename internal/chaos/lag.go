//go:build !windows

package chaos

import (
	"bytes"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"
)

// lag is how slow the way to Redis is for a worker, and back.
type lag struct {
	Stream time.Duration // of what comes on connections that are subscribed to something
	Data   time.Duration // on others each way, on the average: what is sent later may be there sooner
}

// laggard is a connection with a lag.
type laggard struct {
	detour
	lag    lag
	stream atomic.Bool
}

func (l lag) slow(conn detour) net.Conn {
	if l == (lag{}) {
		return conn
	}
	return &laggard{detour: conn, lag: l}
}

// Write notices what the connection is for.
func (l *laggard) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\r\nsubscribe\r\n")) {
		l.stream.Store(true)
	}
	l.pause()
	return l.detour.Write(b)
}

func (l *laggard) Read(b []byte) (int, error) {
	n, err := l.detour.Read(b)
	if l.stream.Load() {
		time.Sleep(l.lag.Stream)
	} else {
		l.pause()
	}
	return n, err
}

// pause waits for nothing: it is what the network takes.
func (l *laggard) pause() {
	if !l.stream.Load() {
		time.Sleep(time.Duration(rand.Int64N(2*int64(l.lag.Data) + 1)))
	}
}
