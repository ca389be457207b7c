package faultproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// link is a client's connection, and the connection to the server that belongs to it.
type link struct {
	requests  *pipe
	replies   *pipe
	client    *net.TCPConn
	gone      chan struct{} // closed when nothing more will come from the client
	blackHole atomic.Bool   // see HalfOpen
	cancel    context.CancelFunc

	mu     sync.Mutex   // held while the connections are closed
	server *net.TCPConn // nil until there is one
	closed bool
}

// newLink returns a link without a server. cancel cancels run's context, and so a pending dial when the link ends.
func newLink(client *net.TCPConn, p *Proxy, cancel context.CancelFunc) *link {
	l := &link{client: client, gone: make(chan struct{}), cancel: cancel}
	l.requests = newPipe(p.chunkDelay, l.passRequestsEnd)
	l.requests.src, l.requests.edit = client, requestEditor(p)
	l.replies = newPipe(p.chunkDelay, l.passRepliesEnd)
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
	if l.blackHole.Load() {
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

// passRequestsEnd passes the client's FIN on to the server, which may still reply to earlier requests.
func (l *link) passRequestsEnd(err error) {
	if errors.Is(err, io.EOF) {
		_ = l.server.CloseWrite() // it fails if the server has closed the connection
		return
	}
	l.reset()
}

// passRepliesEnd closes the client's connection in both directions, since a server that closes one closes both, so
// that a client that goes on writing gets an error. A server's reset is reported only once, possibly to a write; reads then end
// with EOF.
func (l *link) passRepliesEnd(err error) {
	l.requests.discard()
	l.close(!errors.Is(err, io.EOF) || l.requests.broken.Load())
}

// hold stops or resumes each direction.
func (l *link) hold(requests, replies bool) {
	l.requests.hold(requests)
	l.replies.hold(replies)
}

func (l *link) becomeBlackHole() {
	l.blackHole.Store(true) // first, since run reads it when both pipes have ended
	l.requests.discard()
	l.replies.discard()
}

func (l *link) reset() { l.close(true) }

// close closes both connections, with a reset or with a FIN.
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

// hangUp closes a connection. With reset, data in the send buffer is dropped.
func hangUp(conn *net.TCPConn, reset bool) {
	if reset {
		_ = conn.SetLinger(0) // fails if the other side has already reset it
	}
	_ = conn.Close()
}
