//go:build !windows

package redistest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports are below the range that Linux and macOS use for outgoing connections: a dead server's port must not be
// used by a client before the server is restarted.
const (
	lowestPort  = 10_000
	highestPort = 32_000
)

// port is a TCP port of 127.0.0.1 that stays reserved while the server on it is down. The UDP socket of the same number
// is the reservation: no other test binary that uses this package can open it, and the kernel frees it after a crash.
type port struct {
	number int
	lock   net.PacketConn
}

func reservePort() (*port, error) {
	for range 1000 {
		p := &port{number: lowestPort + rand.IntN(highestPort-lowestPort)}
		var err error
		if p.lock, err = net.ListenPacket("udp", p.addr()); err != nil {
			continue
		}
		if p.free() {
			return p, nil
		}
		p.release()
	}
	return nil, errors.New("no free port on 127.0.0.1")
}

func (p *port) addr() string { return fmt.Sprintf("127.0.0.1:%d", p.number) }

func (p *port) String() string { return strconv.Itoa(p.number) }

// free reports whether no server listens on the port at this moment.
func (p *port) free() bool {
	l, err := net.Listen("tcp", p.addr())
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func (p *port) release() { _ = p.lock.Close() }
