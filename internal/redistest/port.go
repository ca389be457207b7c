//go:build !windows

package redistest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports lie below the range from which Linux and macOS take the ports of outgoing connections: a dead server's port
// must not become some client's own port before the server is restarted.
const (
	lowestPort  = 10_000
	highestPort = 32_000
)

// port is a TCP port of 127.0.0.1 that is ours while the server on it is down, too. The UDP socket of the same number
// is the reservation: no other test binary that uses this package can have it, and the kernel frees it if we crash.
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
