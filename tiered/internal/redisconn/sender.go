package redisconn

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// sender is a goroutine that has one batch of reads under way at a time.
//
// It calls the client in its own goroutine. It needs no Call, which could return early, as nobody waits for a sender:
// callers wait for their Reads, which sweep ends when they are late. The context has the values of the batch's first read,
// for the client's hooks, and not its end: it ends with the batch, or when sweep abandons the sender.
//
// Sweep abandons a sender at nine tenths of Timeout. From then on another may be made in its place. The abandoned one
// does no harm when go-redis returns: its Reads have ended, so that finish does nothing; the breaker has had the
// batch's result (reported); and it doesn't take another batch. It still notes the keys as slow. If the client ends
// the goroutine with runtime.Goexit, the batch stays under way until sweep abandons the sender, as if Redis hadn't
// answered.
//
// With many callers begin yields the processor once before it takes a batch: the callers of the batch before then
// run, and their next reads may be in this one. Without that nine of ten batches had one key.
type sender struct {
	batcher *batcher
	work    chan struct{}
	keys    []string // of the batch
	indexes []int    // from 0 to len(keys)-1
	request Request  // the batch's
	alone   bool     // it has only one batch, of one slow key

	// Under the batcher's lock:
	batch     []*Read
	ctx       *callContext // the batch's
	sentAt    mono.Instant
	reported  bool // the breaker has the batch's result
	abandoned bool // the batch took too long: the sender ends with it
}

func (s *sender) run() {
	defer s.batcher.requester.Calls.End()
	for range s.work {
		for s.begin() {
			s.send()
			if s.batchDone() {
				return
			}
		}
	}
}

// sendOnce sends the batch of a sender that reads alone.
func (s *sender) sendOnce() {
	defer s.batcher.remove(s)
	s.send()
}

// begin takes a batch; false: nothing waits, and the sender is idle. If there are many callers, those that can run do so
// first, and may be in the batch.
func (s *sender) begin() bool {
	b := s.batcher
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.callers >= minCallers && b.keys < MaxBatch {
		b.mu.Unlock()
		runtime.Gosched()
		b.mu.Lock()
	}
	if at := mono.Now(); s.takeBatch(at) {
		if len(b.waiting) > 0 {
			b.dispatch(at) // the reads that this batch had no room for
		}
		return true
	}
	if b.idle = append(b.idle, s); b.closed {
		b.endIdle()
	}
	return false
}

// takeBatch makes a batch of the waiting reads; false: there are none. It is called with the batcher's lock.
func (s *sender) takeBatch(at mono.Instant) bool {
	b := s.batcher
	s.batch, s.keys, s.indexes = s.batch[:0], s.keys[:0], s.indexes[:0]
	n := 0
	for _, rd := range b.waiting {
		if len(s.batch) > 0 && (len(s.keys)+len(rd.Keys) > MaxBatch || !b.requester.Nodes.same(s.batch[0].target, rd.target)) {
			break
		}
		n++
		b.keys -= len(rd.Keys)
		if rd.state.Load() == readAsked {
			s.batch = append(s.batch, rd)
			for _, key := range rd.Keys {
				s.indexes = append(s.indexes, len(s.indexes))
				s.keys = append(s.keys, key)
			}
		}
	}
	b.waiting = slices.Delete(b.waiting, 0, n)
	if len(s.batch) > 0 {
		s.newContext()
	}
	s.sentAt, s.reported, b.sentAt = at, false, at
	b.callers = max(len(s.batch), b.callers*7/8)
	return len(s.batch) > 0
}

// newContext makes the context of the batch.
func (s *sender) newContext() {
	s.ctx = new(callContext)
	s.ctx.init(s.batch[0].ctx, time.Now().Add(s.batcher.requester.Timeout))
}

// send reads the batch's keys, and gives the replies to its callers.
func (s *sender) send() {
	r, first := s.batcher.requester, s.batch[0]
	nb := nodeBatch{s.indexes, first.target}
	ctx, sentAt := s.ctx, s.sentAt
	defer ctx.end(context.Canceled)
	s.request = Gets(s.keys)
	var replies []Reply
	err := r.CatchPanics(func() (err error) {
		replies, err = r.send(ctx, &s.request, nb)
		return err
	})
	if replies == nil { // the client panicked
		err = callError(stepGet, err)
		replies = Failed(len(s.keys), err, nb.Feed)
	}
	r.Refusals.note(nb.Breaker.Addr, stepGet, replies)
	if s.mayReport() {
		if err == nil && mono.Now().Since(sentAt) >= r.Timeout {
			err = errLate
		}
		nb.report(context.Background(), sentAt, err)
	}
	s.noteSlow(replies, mono.Now())
	for _, rd := range s.batch {
		n := len(rd.Keys)
		rd.finish(replies[:n:n])
		replies = replies[n:]
	}
}

// noteSlow has keys read alone for a while: those whose values are large, and all keys of a batch that was late.
func (s *sender) noteSlow(replies []Reply, at mono.Instant) {
	b := s.batcher
	b.mu.Lock()
	defer b.mu.Unlock()
	late := s.abandoned || at.Since(s.sentAt) >= b.requester.Timeout
	for i, key := range s.keys {
		stay := time.Duration(0)
		if len(s.keys) > 1 && late {
			stay = slowWhenLate
		}
		if value, _ := replies[i].Bytes(); len(value) >= largeValue {
			stay = slowWhenLarge
		}
		if stay > 0 {
			b.slow.add(key, at, stay)
		}
	}
}

// mayReport reports whether the sender must report the batch's result to the breaker: the sweep may have done so.
func (s *sender) mayReport() bool {
	s.batcher.mu.Lock()
	defer s.batcher.mu.Unlock()
	first := !s.reported
	s.reported = true
	return first
}

// batchDone ends a batch. It reports whether the sender was given up, and has to end with it.
func (s *sender) batchDone() (lost bool) {
	b, at := s.batcher, mono.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !s.abandoned {
		b.batchTime += (at.Since(s.sentAt) - b.batchTime) / 8
	}
	clear(s.batch)
	s.batch = s.batch[:0]
	return s.abandoned
}
