package tiered

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// lane is a goroutine that has one convoy of readings under way at a time.
type lane struct {
	pipeline *pipeline
	work     chan struct{}
	keys     []string // of the convoy, as places are
	places   []int

	// Under the pipeline's lock:
	convoy []*reading
	sent   mono.Instant // when the convoy left
	heeded bool         // the breaker knows what became of it
	lost   bool         // it took too long: the lane ends with it
}

// load takes a convoy of what waits; false: nothing does. It is called with the pipeline's lock.
func (l *lane) load(at mono.Instant) bool {
	p := l.pipeline
	l.convoy, l.keys, l.places = l.convoy[:0], l.keys[:0], l.places[:0]
	n := 0
	for _, rd := range p.waiting {
		if len(l.convoy) > 0 && (len(l.keys)+len(rd.keys) > maxConvoy || !l.convoy[0].to.isWith(rd.to)) {
			break
		}
		n++
		p.keys -= len(rd.keys)
		if rd.state.Load() == readingAsked {
			l.convoy = append(l.convoy, rd)
			for _, key := range rd.keys {
				l.places = append(l.places, len(l.places))
				l.keys = append(l.keys, key)
			}
		}
	}
	p.waiting = slices.Delete(p.waiting, 0, n)
	l.sent, l.heeded, p.left = at, false, at
	p.crowd = max(len(l.convoy), p.crowd*7/8)
	return len(l.convoy) > 0
}

func (l *lane) run() {
	defer l.pipeline.redis.calls.end()
	for range l.work {
		for l.departs() {
			l.carry()
			if l.arrived() {
				return
			}
		}
	}
}

// departs loads a convoy; false: there is nothing to carry, and the lane is idle. Where there are many callers, those that can
// run do so first, and may come along.
func (l *lane) departs() bool {
	p := l.pipeline
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.crowd >= minCrowd && p.keys < maxConvoy {
		p.mu.Unlock()
		runtime.Gosched()
		p.mu.Lock()
	}
	if at := mono.Now(); l.load(at) {
		if len(p.waiting) > 0 {
			p.dispatch(at) // what this one had no place for
		}
		return true
	}
	if p.idle = append(p.idle, l); p.closed {
		p.retire()
	}
	return false
}

// carry reads the convoy's keys.
func (l *lane) carry() {
	r, first := l.pipeline.redis, l.convoy[0]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(first.caller), r.timeout)
	defer cancel()
	g := group{l.places, first.to}
	began := l.sent
	q := r.reads(l.keys)
	var answers []answer
	err := r.guarded(func() (err error) {
		answers, err = r.run(ctx, q, g)
		return err
	})
	if answers == nil { // the client panicked
		err = fmt.Errorf("tiered: redis: get: %w", err)
		answers = failed(len(l.keys), err, g.feed)
	}
	r.refusals.note(g.breaker.addr, q.name, answers)
	if l.heeds() {
		if err == nil && mono.Now().Since(began) >= r.timeout {
			err = errLate
		}
		g.heed(context.Background(), began, err)
	}
	l.part(answers, mono.Now())
	for _, rd := range l.convoy {
		n := len(rd.keys)
		rd.give(answers[:n:n])
		answers = answers[n:]
	}
}

// part has those keys read alone for a while that hold the others up, or one of which does.
func (l *lane) part(answers []answer, at mono.Instant) {
	p := l.pipeline
	p.mu.Lock()
	late := l.lost || at.Since(l.sent) >= p.redis.timeout
	p.mu.Unlock()
	for i, key := range l.keys {
		stay := time.Duration(0)
		if len(l.keys) > 1 && late {
			stay = aloneIfLate
		}
		if b, _ := answers[i].bytes(); len(b) >= heavy {
			stay = aloneIfHeavy
		}
		if stay > 0 {
			p.mu.Lock()
			p.alone.add(key, at, stay)
			p.mu.Unlock()
		}
	}
}

// heeds answers whether the breaker is still to be told of the convoy.
func (l *lane) heeds() bool {
	l.pipeline.mu.Lock()
	defer l.pipeline.mu.Unlock()
	first := !l.heeded
	l.heeded = true
	return first
}

// arrived ends a convoy, and with it a lane that is lost.
func (l *lane) arrived() (lost bool) {
	p, at := l.pipeline, mono.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !l.lost {
		p.takes += (at.Since(l.sent) - p.takes) / 8
	}
	clear(l.convoy)
	l.convoy = l.convoy[:0]
	return l.lost
}
