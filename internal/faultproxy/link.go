package faultproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// link is a client's connection and the one to the server that belongs to it.
type link struct {
	requests *pipe
	replies  *pipe
	client   *net.TCPConn
	gone     chan struct{} // closed when nothing more will come from the client
	lost     atomic.Bool   // a black hole: no side hears of the other any more
	cancel   context.CancelFunc

	mu     sync.Mutex   // held while the connections are closed
	server *net.TCPConn // nil until there is one
	closed bool
}

// newLink returns a link without a server. cancel ends run's context: a dial that is under way when the link ends.
func newLink(client *net.TCPConn, p *Proxy, cancel context.CancelFunc) *link {
	l := &link{client: client, gone: make(chan struct{}), cancel: cancel}
	l.requests = newPipe(p.lag, l.passRequestsEnd)
	l.requests.src, l.requests.edit = client, pretender(p)
	l.replies = newPipe(p.lag, l.passRepliesEnd)
	l.replies.dst = client
	return l
}

// run returns when both connections are closed.
func (l *link) run(ctx context.Context, upstream string) {
	var readers, writers sync.WaitGroup
	readers.Go(func() {
		defer close(l.gone)
		l.requests.read()
	})
	if l.connect(ctx, upstream) {
		readers.Go(l.replies.read)
		writers.Go(l.requests.write)
		writers.Go(l.replies.write)
		writers.Wait()
	} else {
		l.replies.pass(l.reset)
	}
	if l.lost.Load() {
		<-l.gone
	}
	l.close(false)
	readers.Wait()
}

func (l *link) connect(ctx context.Context, upstream string) bool {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", upstream)
	if err != nil {
		return false
	}
	server := conn.(*net.TCPConn)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		hangUp(server, true)
		return false
	}
	l.server, l.requests.dst, l.replies.src = server, server, server
	return true
}

// passRequestsEnd leaves the server the time to answer what it was asked.
func (l *link) passRequestsEnd(err error) {
	if errors.Is(err, io.EOF) {
		_ = l.server.CloseWrite() // the server may be gone as well
		return
	}
	l.reset()
}

// passRepliesEnd closes the client's connection in both directions, since a server that ends one has ended both. A
// client that writes on is to find out. A server's reset is seen once: by a write, it may be, and then reads end as if
// in good order.
func (l *link) passRepliesEnd(err error) {
	l.requests.lose()
	l.close(!errors.Is(err, io.EOF) || l.requests.broken.Load())
}

// hold keeps either direction from flowing, or lets it flow.
func (l *link) hold(requests, replies bool) {
	l.requests.hold(requests)
	l.replies.hold(replies)
}

func (l *link) lose() {
	l.lost.Store(true) // first: run asks when nothing is delivered any more
	l.requests.lose()
	l.replies.lose()
}

func (l *link) reset() { l.close(true) }

// close returns when both connections are closed, with a reset or in good order.
func (l *link) close(reset bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	l.cancel()
	l.requests.abandon()
	l.replies.abandon()
	hangUp(l.client, reset)
	if l.server != nil {
		hangUp(l.server, reset)
	}
}

// hangUp closes a connection. A reset throws away what the other side hasn't been sent yet.
func hangUp(conn *net.TCPConn, reset bool) {
	if reset {
		_ = conn.SetLinger(0) // fails when the other side has reset it already
	}
	_ = conn.Close()
}
