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
	end   error // why there is no more; such a chunk is read without bytes
	due   time.Time
}

// pipe is one direction of a link.
type pipe struct {
	src     *net.TCPConn         // set before read is called
	dst     *net.TCPConn         // set before write is called
	delay   func() time.Duration // of the next chunk
	passEnd func(error)          // tells dst how src ended
	edit    func(c chunk) []byte // returns what is delivered of a chunk; nil: what it holds
	queue   chan chunk
	over    chan struct{} // closed when nothing more will be delivered
	broken  atomic.Bool   // dst has refused a write

	mu      sync.Mutex
	changed *sync.Cond // by any change of the fields below
	held    bool
	busy    bool // something is being delivered
	ended   bool // over is closed
}

func newPipe(delay func() time.Duration, passEnd func(error)) *pipe {
	p := &pipe{delay: delay, passEnd: passEnd, queue: make(chan chunk, queueLength), over: make(chan struct{})}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// read queues what src sends until src has ended. When p is over it is thrown away.
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

// write delivers the queue until src's end has been passed on, dst takes no more, or p is over. That dst takes no more
// is for the other pipe to pass on: it comes after what dst sent before.
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

// next returns the next chunk when it is due, and false when p is over.
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

// send writes b, in pieces if p is held in the middle of it.
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

// pass calls f as soon as p isn't held. When p is over it doesn't.
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
	_ = p.dst.SetWriteDeadline(time.Time{}) // fails on a closed connection, and so does the Write
	return true
}

func (p *pipe) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	p.changed.Broadcast()
}

// hold returns when nothing is being delivered any more, if p is to be held.
func (p *pipe) hold(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = on
	p.changed.Broadcast()
	if on {
		p.interrupt()
	}
}

// lose is an abandon that returns when nothing is being delivered any more.
func (p *pipe) lose() {
	p.abandon()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupt()
}

// interrupt ends the delivery that is under way, however long dst would have made it wait. p.mu is held, and p is in a
// state that lets no other begin.
func (p *pipe) interrupt() {
	if p.busy {
		_ = p.dst.SetWriteDeadline(time.Unix(1, 0))
	}
	for p.busy {
		p.changed.Wait()
	}
}

// abandon has everything that isn't delivered yet, or arrives later, thrown away.
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
