package redisconn

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// sender is a goroutine that has one convoy of readings under way at a time.
type sender struct {
	batcher *batcher
	work    chan struct{}
	keys    []string // of the convoy, as places are
	places  []int

	// Under the pipeline's lock:
	batch    []*Read
	sent     mono.Instant // when the convoy left
	reported bool         // the breaker knows what became of it
	lost     bool         // it took too long: the lane ends with it
}

// load takes a convoy of what waits; false: nothing does. It is called with the pipeline's lock.
func (l *sender) load(at mono.Instant) bool {
	p := l.batcher
	l.batch, l.keys, l.places = l.batch[:0], l.keys[:0], l.places[:0]
	n := 0
	for _, rd := range p.waiting {
		if len(l.batch) > 0 && (len(l.keys)+len(rd.Keys) > MaxBatch || !l.batch[0].to.sameAs(rd.to)) {
			break
		}
		n++
		p.keys -= len(rd.Keys)
		if rd.state.Load() == readingAsked {
			l.batch = append(l.batch, rd)
			for _, key := range rd.Keys {
				l.places = append(l.places, len(l.places))
				l.keys = append(l.keys, key)
			}
		}
	}
	p.waiting = slices.Delete(p.waiting, 0, n)
	l.sent, l.reported, p.left = at, false, at
	p.callers = max(len(l.batch), p.callers*7/8)
	return len(l.batch) > 0
}

func (l *sender) run() {
	defer l.batcher.redis.Calls.End()
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
func (l *sender) departs() bool {
	p := l.batcher
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.callers >= minCallers && p.keys < MaxBatch {
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
func (l *sender) carry() {
	r, first := l.batcher.redis, l.batch[0]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(first.caller), r.Timeout)
	defer cancel()
	g := nodeBatch{l.places, first.to}
	began := l.sent
	q := r.Gets(l.keys)
	var answers []Reply
	err := r.Guard(func() (err error) {
		answers, err = r.run(ctx, q, g)
		return err
	})
	if answers == nil { // the client panicked
		err = fmt.Errorf("tiered: redis: get: %w", err)
		answers = Failed(len(l.keys), err, g.Feed)
	}
	r.Refusals.Note(g.Breaker.Addr, q.Name, answers)
	if l.heeds() {
		if err == nil && mono.Now().Since(began) >= r.Timeout {
			err = errLate
		}
		g.Report(context.Background(), began, err)
	}
	l.part(answers, mono.Now())
	for _, rd := range l.batch {
		n := len(rd.Keys)
		rd.give(answers[:n:n])
		answers = answers[n:]
	}
}

// part has those keys read alone for a while that hold the others up, or one of which does.
func (l *sender) part(answers []Reply, at mono.Instant) {
	p := l.batcher
	p.mu.Lock()
	late := l.lost || at.Since(l.sent) >= p.redis.Timeout
	p.mu.Unlock()
	for i, key := range l.keys {
		stay := time.Duration(0)
		if len(l.keys) > 1 && late {
			stay = slowIfLate
		}
		if b, _ := answers[i].Bytes(); len(b) >= large {
			stay = slowIfLarge
		}
		if stay > 0 {
			p.mu.Lock()
			p.slow.add(key, at, stay)
			p.mu.Unlock()
		}
	}
}

// heeds answers whether the breaker is still to be told of the convoy.
func (l *sender) heeds() bool {
	l.batcher.mu.Lock()
	defer l.batcher.mu.Unlock()
	first := !l.reported
	l.reported = true
	return first
}

// arrived ends a convoy, and with it a lane that is lost.
func (l *sender) arrived() (lost bool) {
	p, at := l.batcher, mono.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !l.lost {
		p.takes += (at.Since(l.sent) - p.takes) / 8
	}
	clear(l.batch)
	l.batch = l.batch[:0]
	return l.lost
}
