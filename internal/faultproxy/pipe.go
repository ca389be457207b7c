package faultproxy

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chunkSize   = 32 << 10
	queueLength = 1024
)

// chunk is what one Read returned.
type chunk struct {
	bytes []byte
	end   error // why reading ended; a chunk with an end has no bytes
	due   time.Time
}

// pipe is one direction of a link.
type pipe struct {
	src     *net.TCPConn         // set before read is called
	dst     *net.TCPConn         // set before write is called
	delay   func() time.Duration // of the next chunk
	passEnd func(error)          // tells dst how src ended
	edit    func(c chunk) []byte // returns the bytes to deliver for a chunk; nil: its own
	queue   chan chunk
	over    chan struct{} // closed when nothing more will be delivered
	broken  atomic.Bool   // a write to dst has failed

	mu      sync.Mutex
	changed *sync.Cond // signals any change of the fields below
	held    bool
	busy    bool // something is being delivered
	ended   bool // over is closed
}

func newPipe(delay func() time.Duration, passEnd func(error)) *pipe {
	p := &pipe{delay: delay, passEnd: passEnd, queue: make(chan chunk, queueLength), over: make(chan struct{})}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// read queues what src sends until src ends. After over is closed it drops everything.
func (p *pipe) read() {
	buf := make([]byte, chunkSize)
	for {
		n, err := p.src.Read(buf)
		due := time.Now().Add(p.delay())
		if n > 0 {
			p.enqueue(chunk{bytes: bytes.Clone(buf[:n]), due: due})
		}
		if err != nil {
			p.enqueue(chunk{end: err, due: due})
			return
		}
	}
}

func (p *pipe) enqueue(c chunk) {
	select {
	case <-p.over:
	case p.queue <- c:
	}
}

// write delivers the queue until src's end has been passed on, a write to dst fails, or over is closed. A failed write isn't
// reported to src here: the other pipe passes dst's end on, after what dst sent before.
func (p *pipe) write() {
	defer p.abandon()
	for {
		c, ok := p.next()
		if !ok {
			return
		}
		if p.edit != nil {
			c.bytes = p.edit(c)
		}
		if err := p.send(c.bytes); err != nil {
			return
		}
		if c.end != nil {
			p.pass(func() { p.passEnd(c.end) })
			return
		}
	}
}

// next returns the next chunk when it is due, or false when over is closed.
func (p *pipe) next() (c chunk, ok bool) {
	select {
	case <-p.over:
		return chunk{}, false
	case c = <-p.queue:
	}
	wait := time.Until(c.due)
	if wait <= 0 {
		return c, true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.over:
		return chunk{}, false
	case <-timer.C:
		return c, true
	}
}

// send writes b, in pieces if hold interrupts it.
func (p *pipe) send(b []byte) error {
	for len(b) > 0 {
		n, err := 0, net.ErrClosed
		p.pass(func() {
			n, err = p.dst.Write(b)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = nil
			}
			p.broken.Store(err != nil)
		})
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// pass calls f as soon as p isn't held, or never if over is closed.
func (p *pipe) pass(f func()) {
	if p.enter() {
		defer p.leave()
		f()
	}
}

func (p *pipe) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held && !p.ended {
		p.changed.Wait()
	}
	if p.ended {
		return false
	}
	p.busy = true
	_ = p.dst.SetWriteDeadline(time.Time{}) // fails on a closed connection, where the Write fails, too
	return true
}

func (p *pipe) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	p.changed.Broadcast()
}

// hold stops or resumes delivery. It returns when a stop has taken effect.
func (p *pipe) hold(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = on
	p.changed.Broadcast()
	if on {
		p.interrupt()
	}
}

// discard is abandon, but returns only when nothing is being delivered any more.
func (p *pipe) discard() {
	p.abandon()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupt()
}

// interrupt ends a running delivery, even if dst doesn't read. p.mu must be held, and p must be in a state in which no
// other delivery can begin.
func (p *pipe) interrupt() {
	if p.busy {
		_ = p.dst.SetWriteDeadline(time.Unix(1, 0))
	}
	for p.busy {
		p.changed.Wait()
	}
}

// abandon drops everything that isn't delivered yet, and all that arrives later.
func (p *pipe) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	close(p.over)
	p.changed.Broadcast()
}
