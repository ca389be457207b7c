package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// acceptPause is the pause after a failed accept, such as when file descriptors have run out.
const acceptPause = 10 * time.Millisecond

// Proxy forwards the connections made to Addr to a server, with the faults that its methods turn on. The methods may be
// called from any goroutine.
type Proxy struct {
	listener *net.TCPListener
	delay    atomic.Int64 // a time.Duration
	stalls   atomic.Pointer[stalls]
	state    atomic.Uint32
	replace  atomic.Pointer[func(words [][]byte) []byte]
	wg       sync.WaitGroup

	mu           sync.Mutex // held while a fault takes effect, so that faults take effect one after the other
	upstreams    []string   // of which each new connection takes the next
	accepted     int
	links        []*link // in the order in which they were accepted
	refuse       bool
	stall        bool
	stallReplies bool
	closed       bool
}

// New returns a Proxy without faults for the server at the address upstream. The caller must close it.
func New(upstream string) (*Proxy, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("faultproxy: %w", err)
	}
	p := &Proxy{listener: listener, upstreams: []string{upstream}}
	p.wg.Go(p.serve)
	return p, nil
}

// Start returns a Proxy that is closed when the test ends.
func Start(t testing.TB, upstream string) *Proxy {
	t.Helper()
	p, err := New(upstream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Addr returns the host:port for clients. It never changes.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetUpstream forwards connections that are accepted from now on to the server at addr. Open connections aren't affected.
func (p *Proxy) SetUpstream(addr string) { p.Balance(addr) }

// Balance forwards connections that are accepted from now on to the servers at these addresses in turn, as a load balancer does.
// Open connections aren't affected.
func (p *Proxy) Balance(addrs ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upstreams = slices.Clone(addrs)
}

// Conns returns the number of open connections. A connection that one side has closed counts until the other side's is
// closed, too, which a fault may delay.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Close resets all connections, accepts no more, and returns when every goroutine has ended. All methods may be called
// after it.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	_ = p.listener.Close() // fails in a second Close
	p.cut()
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptPause)
		default:
			p.admit(client)
		}
	}
}

// admit makes a link for a connection, with the faults that are on.
func (p *Proxy) admit(client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || p.closed {
		hangUp(client, true)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := newLink(client, p, cancel)
	l.hold(p.stall, p.stall || p.stallReplies)
	p.links = append(p.links, l)
	upstream := p.upstreams[p.accepted%len(p.upstreams)]
	p.accepted++
	p.wg.Go(func() {
		l.run(ctx, upstream)
		p.forget(l)
	})
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = slices.DeleteFunc(p.links, func(other *link) bool { return other == l })
}
