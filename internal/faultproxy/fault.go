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

// Refuse has new connections reset as soon as they are accepted, until it is off. Those that are open live on.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Stall stops all bytes on all connections, old and new, until it is off. Then what was held flows on in its order,
// nothing lost.
func (p *Proxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stall = on
	p.hold()
}

// StallReplies is Stall for what servers send: requests arrive, and their replies don't come back. Each of the two
// stalls on its own: replies flow when both are off.
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

// HalfOpen makes black holes of the connections that are open now, for good: what either side sends is taken and thrown
// away, with all that was held or delayed, and no side is told, not even when the other one hangs up. They end, on both
// sides, when the client hangs up. New connections work.
func (p *Proxy) HalfOpen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.lose()
	}
}

// Delay has every chunk that is read from now on arrive d later, in either direction, so that a round trip takes 2d
// more. Order is kept, and bandwidth is not affected. What is under way when d changes arrives as it would have, and
// nothing overtakes it. Zero is no delay.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// stalls are delays of single chunks.
type stalls struct {
	share float64
	lasts time.Duration
}

// StallSome has a share of the chunks, from 0 for none to 1 for all, arrive d later, chosen at random, and with them what
// comes after them on the same connection: as where packets are lost and sent again.
func (p *Proxy) StallSome(share float64, d time.Duration) { p.stalls.Store(&stalls{share, d}) }

// lag is the delay of a chunk that is read now.
func (p *Proxy) lag() time.Duration {
	d := time.Duration(p.delay.Load())
	if s := p.stalls.Load(); s != nil && rand.Float64() < s.share {
		d += s.lasts
	}
	return d
}
