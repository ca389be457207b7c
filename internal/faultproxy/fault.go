package faultproxy

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Cut resets the connections that are open now, on both sides. New ones work.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	for _, l := range p.links {
		l.reset()
	}
	p.links = nil
}

// CutOne resets one of the connections that are open now and reports whether there was one. pick is given their number
// n and returns the one to cut, from 0 for the oldest to n-1: rand.IntN fits. It isn't called when there is none, and
// must not call the Proxy.
func (p *Proxy) CutOne(pick func(n int) int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.links) == 0 {
		return false
	}
	i := pick(len(p.links))
	p.links[i].reset()
	p.links = slices.Delete(p.links, i, i+1)
	return true
}

// Refuse resets new connections as soon as they are accepted, until it is called with false. Open connections aren't affected.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Stall holds all bytes on all connections, old and new, until it is called with false. Then they are delivered in order, and
// none is lost.
func (p *Proxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stall = on
	p.hold()
}

// StallReplies is Stall for what servers send: requests arrive, but no replies come back. Replies are held while Stall or
// StallReplies is on.
func (p *Proxy) StallReplies(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stallReplies = on
	p.hold()
}

func (p *Proxy) hold() {
	for _, l := range p.links {
		l.hold(p.stall, p.stall || p.stallReplies)
	}
}

// HalfOpen turns the connections that are open now into black holes: whatever either side sends is accepted and dropped,
// with all that was held or delayed, and neither side notices, not even that the server closes its side. Both sides are closed
// when the client closes its side. New connections work.
func (p *Proxy) HalfOpen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.becomeBlackHole()
	}
}

// Delay delays every chunk that is read from now on by d, in either direction, so that a round trip takes 2d
// longer. Order is kept, and bandwidth is not affected. Chunks that were read before d changed keep their delay, and no later
// chunk overtakes them. Zero is no delay.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// stalls are delays of single chunks.
type stalls struct {
	share float64
	lasts time.Duration
}

// StallSome delays a share of the chunks, from 0 for none to 1 for all, by d. They are chosen at random, and what follows
// on the same connection waits for them, as if packets were lost and sent again.
func (p *Proxy) StallSome(share float64, d time.Duration) { p.stalls.Store(&stalls{share, d}) }

// chunkDelay returns the delay of a chunk that is read now.
func (p *Proxy) chunkDelay() time.Duration {
	d := time.Duration(p.delay.Load())
	if s := p.stalls.Load(); s != nil && rand.Float64() < s.share {
		d += s.lasts
	}
	return d
}
