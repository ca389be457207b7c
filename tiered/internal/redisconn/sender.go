package redisconn

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// sender is a goroutine that has one batch of reads under way at a time.
type sender struct {
	batcher *batcher
	work    chan struct{}
	keys    []string // of the batch
	places  []int    // from 0 to len(keys)-1

	// Under the batcher's lock:
	batch    []*Read
	sentAt   mono.Instant
	reported bool // the breaker has the batch's result
	lost     bool // the batch took too long: the sender ends with it
}

func (s *sender) run() {
	defer s.batcher.redis.Calls.End()
	for range s.work {
		for s.begin() {
			s.send()
			if s.finish() {
				return
			}
		}
	}
}

// begin takes a batch; false: nothing waits, and the sender is idle. If there are many callers, those that can run do so
// first, and may be in the batch.
func (s *sender) begin() bool {
	p := s.batcher
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.callers >= minCallers && p.keys < MaxBatch {
		p.mu.Unlock()
		runtime.Gosched()
		p.mu.Lock()
	}
	if at := mono.Now(); s.take(at) {
		if len(p.waiting) > 0 {
			p.dispatch(at) // the reads that this batch had no place for
		}
		return true
	}
	if p.idle = append(p.idle, s); p.closed {
		p.endIdle()
	}
	return false
}

// take makes a batch of the waiting reads; false: there are none. It is called with the batcher's lock.
func (s *sender) take(at mono.Instant) bool {
	p := s.batcher
	s.batch, s.keys, s.places = s.batch[:0], s.keys[:0], s.places[:0]
	n := 0
	for _, rd := range p.waiting {
		if len(s.batch) > 0 && (len(s.keys)+len(rd.Keys) > MaxBatch || !s.batch[0].to.sameAs(rd.to)) {
			break
		}
		n++
		p.keys -= len(rd.Keys)
		if rd.state.Load() == readAsked {
			s.batch = append(s.batch, rd)
			for _, key := range rd.Keys {
				s.places = append(s.places, len(s.places))
				s.keys = append(s.keys, key)
			}
		}
	}
	p.waiting = slices.Delete(p.waiting, 0, n)
	s.sentAt, s.reported, p.sentAt = at, false, at
	p.callers = max(len(s.batch), p.callers*7/8)
	return len(s.batch) > 0
}

// send reads the batch's keys, and gives the replies to its callers.
func (s *sender) send() {
	r, first := s.batcher.redis, s.batch[0]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(first.caller), r.Timeout)
	defer cancel()
	b := nodeBatch{s.places, first.to}
	sentAt := s.sentAt
	q := r.Gets(s.keys)
	var replies []Reply
	err := r.Guard(func() (err error) {
		replies, err = r.send(ctx, q, b)
		return err
	})
	if replies == nil { // the client panicked
		err = callError("get", err)
		replies = Failed(len(s.keys), err, b.Feed)
	}
	r.Refusals.Note(b.Breaker.Addr, q.Name, replies)
	if s.reports() {
		if err == nil && mono.Now().Since(sentAt) >= r.Timeout {
			err = errLate
		}
		b.Report(context.Background(), sentAt, err)
	}
	s.noteSlow(replies, mono.Now())
	for _, rd := range s.batch {
		n := len(rd.Keys)
		rd.finish(replies[:n:n])
		replies = replies[n:]
	}
}

// noteSlow has those keys read alone for a while whose values are large, and all keys of a batch that was late.
func (s *sender) noteSlow(replies []Reply, at mono.Instant) {
	p := s.batcher
	p.mu.Lock()
	defer p.mu.Unlock()
	late := s.lost || at.Since(s.sentAt) >= p.redis.Timeout
	for i, key := range s.keys {
		stay := time.Duration(0)
		if len(s.keys) > 1 && late {
			stay = slowIfLate
		}
		if b, _ := replies[i].Bytes(); len(b) >= largeValue {
			stay = slowIfLarge
		}
		if stay > 0 {
			p.slow.add(key, at, stay)
		}
	}
}

// reports reports whether the sender is to tell the breaker the batch's result: the sweep may have done so.
func (s *sender) reports() bool {
	s.batcher.mu.Lock()
	defer s.batcher.mu.Unlock()
	first := !s.reported
	s.reported = true
	return first
}

// finish ends a batch. It reports whether the sender was given up, and has to end with it.
func (s *sender) finish() (lost bool) {
	p, at := s.batcher, mono.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.lost {
		p.takes += (at.Since(s.sentAt) - p.takes) / 8
	}
	clear(s.batch)
	s.batch = s.batch[:0]
	return s.lost
}
