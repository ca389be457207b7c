package redisconn

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	// maxSenders is how many batches go to a server at a time, each over a connection of its own. At least failuresToOpen of
	// them have to fail before a breaker opens.
	maxSenders = 4
	// MaxBatch is how many keys a batch has at most: all its callers wait for the slowest.
	MaxBatch = 128
	// minCallers is the number of callers of a batch from which on others wait for a sender to be back, though another one is
	// free. The callers of a batch come back one by one: if each of them were sent at once, they would never again be many.
	minCallers = 2
	// minGatherLimit is how long they wait at most where batches take less. A timer for each batch would cost more than it.
	minGatherLimit = time.Millisecond
)

// batcher sends the reads of some keys to one server. While few are under way each is sent at once and alone. Otherwise reads
// wait until an earlier batch is back, and are sent together: the more there are, the less each costs. go-redis's automatic
// pipelining isn't used since it is experimental, ends no call with its context, has one command for each key instead of one
// for all, and costs a single caller more than a plain GET.
//
// With minCallers or more lately (callers) and a batch under way, reads wait even if a sender is free: until a busy
// sender is back, until there are MaxBatch keys, or until the first read that comes after half of the time that
// batches take lately (batchTime). If that batch hangs and no other read comes, gatherTimer has them sent when it
// should have been back.
//
// One timer, sweepTimer, serves the Timeouts of all reads: a timer for each read took a tenth of a hit's time. When
// it goes off, sweep ends the reads that are late, and sets it for the oldest of the others. The sender of a late
// batch doesn't count among maxSenders any more, so that four batches that hang don't hold up later reads.
//
// Slow keys are read alone, by a sender of their own for each read: it counts among senders, which sweep looks at, and not among
// maxSenders. Only reads of several keys with a slow one among them take a call of their own.
//
// Measured, and no better (docs/performance.md): more senders, with which batches were half as long; longer waits of
// several kinds; and reuse of Reads. Waiting only from eight callers on left nearly all reads of eight callers
// single.
type batcher struct {
	requester *requester

	mu          sync.Mutex
	closed      bool
	senders     []*sender // all but those that were given up
	alone       int       // how many of them read one slow key
	idle        []*sender
	waiting     []*Read
	keys        int           // of the waiting reads
	sweepTimer  oneShot       // of sweep
	gatherTimer oneShot       // of sendGathered
	sentAt      mono.Instant  // when the last batch was sent
	batchTime   time.Duration // a batch, on average
	callers     int           // how many callers recent batches had
	slow        slowKeys
}

// begin enqueues the read, and traces it; false: it takes a call of its own.
func (b *batcher) begin(rd *Read) bool {
	if rd.session.trace() == nil {
		return b.enqueue(rd)
	}
	if !b.accepts(rd) {
		return false
	}
	rd.traceStart()
	ok := b.enqueue(rd)
	if !ok { // the batcher was closed just now
		rd.traceDone(rd.failed(ErrClosed))
	}
	return ok
}

// accepts reports whether the read may share a command.
func (b *batcher) accepts(rd *Read) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.takes(rd)
}

// takes is accepts with the lock.
func (b *batcher) takes(rd *Read) bool {
	return !b.closed && (len(rd.Keys) == 1 || !b.isSlow(rd))
}

// isSlow reports whether one of the read's keys is slow. It is called with the lock.
func (b *batcher) isSlow(rd *Read) bool {
	return slices.ContainsFunc(rd.Keys, func(key string) bool { return b.slow.has(key, rd.at) })
}

// enqueue has the read sent, now or with others; false: it takes a call of its own.
func (b *batcher) enqueue(rd *Read) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.takes(rd) {
		return false
	}
	defer b.sweepAt(rd.at.Add(b.requester.Timeout), rd.at)
	if len(rd.Keys) == 1 && b.isSlow(rd) { // of several keys none is, or takes would have refused them
		return b.sendAlone(rd)
	}
	b.waiting = append(b.waiting, rd)
	b.keys += len(rd.Keys)
	b.dispatch(rd.at)
	return true
}

// sendAlone begins a sender that has only this read. It is called with the lock.
func (b *batcher) sendAlone(rd *Read) bool {
	s := &sender{batcher: b, alone: true, keys: rd.Keys, indexes: first, batch: []*Read{rd}, sentAt: rd.at}
	s.newContext()
	if !b.requester.Calls.Go(s.sendOnce) {
		return false
	}
	b.senders, b.alone = append(b.senders, s), b.alone+1
	return true
}

// remove removes a sender that reads alone, unless it was abandoned.
func (b *batcher) remove(s *sender) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.senders, s); i >= 0 {
		b.senders, b.alone = slices.Delete(b.senders, i, i+1), b.alone-1
	}
}

// dispatch has the waiting reads sent, if there is a sender for them. It is called with the lock.
func (b *batcher) dispatch(at mono.Instant) {
	if b.gathering(at) {
		b.gatherTimer.start(b.sentAt.Add(max(b.batchTime, minGatherLimit)).Since(at))
		return
	}
	var s *sender
	if n := len(b.idle); n > 0 {
		s, b.idle = b.idle[n-1], b.idle[:n-1]
	} else if len(b.senders)-b.alone < maxSenders && b.requester.Calls.Begin() {
		s = &sender{batcher: b, work: make(chan struct{}, 1)}
		b.senders = append(b.senders, s)
		go s.run()
	} else {
		return
	}
	b.sentAt = at
	s.work <- struct{}{}
}

// gathering reports whether the waiting reads wait for more: while there are many callers, a batch is sent when another is back,
// or should be half way. It is called with the lock.
func (b *batcher) gathering(at mono.Instant) bool {
	return b.callers >= minCallers && len(b.idle) < len(b.senders)-b.alone && b.keys < MaxBatch && at.Since(b.sentAt) < b.batchTime/2
}

// sendGathered sends the waiting reads if no further one came, and the batch before isn't back.
func (b *batcher) sendGathered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gatherTimer.set = false; len(b.waiting) > 0 {
		b.dispatch(mono.Now())
	}
}

// sweepAt sets the timer of sweep to that instant, unless it is set to an earlier one. It is called with the lock.
func (b *batcher) sweepAt(then, at mono.Instant) { b.sweepTimer.start(then.Since(at)) }

// oneShot is a timer for one call at a time. It is used under the batcher's lock, and call sets set to false.
type oneShot struct {
	call  func()
	set   bool
	timer *time.Timer // nil: it was never set
}

// start sets the timer, unless it is set.
func (o *oneShot) start(wait time.Duration) {
	switch {
	case o.set:
		return
	case o.timer == nil:
		o.timer = time.AfterFunc(wait, o.call)
	default:
		o.timer.Reset(wait)
	}
	o.set = true
}

// sweep ends the reads whose Timeout is over, and abandons the senders that have them. If no batch is under way it ends the idle
// senders: the next read makes others.
func (b *batcher) sweep() {
	failed, late := b.collectLate(mono.Now())
	for _, f := range failed {
		f.target.report(context.Background(), f.sentAt, errLate)
	}
	for _, rd := range late {
		rd.finish(rd.failed(context.DeadlineExceeded))
	}
	for _, f := range failed {
		f.ctx.end(context.DeadlineExceeded) // not before: the sender would finish its reads, and the breaker not know of it yet
	}
}

// failedBatch is a batch that took too long.
type failedBatch struct {
	target target
	ctx    *callContext
	sentAt mono.Instant
}

// collectLate returns the reads that are late, and sets the timer for the next.
func (b *batcher) collectLate(at mono.Instant) (failed []failedBatch, late []*Read) {
	timeout := b.requester.Timeout
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweepTimer.set = false
	failed, late = b.abandonLate(at)
	underWay := slices.Clone(b.waiting)
	for _, s := range b.senders {
		underWay = append(underWay, s.batch...)
	}
	var oldest mono.Instant = math.MaxInt64 // when the first of the others was asked
	for _, rd := range underWay {
		switch {
		case rd.state.Load() != readAsked:
		case rd.at <= at.Add(-timeout):
			late = append(late, rd)
		default:
			oldest = min(oldest, rd.at)
		}
	}
	if len(b.waiting) > 0 {
		b.dispatch(at)
	}
	switch {
	case oldest < math.MaxInt64:
		b.sweepAt(oldest.Add(timeout), at)
	case len(b.idle) < len(b.senders):
		b.sweepAt(at.Add(timeout), at)
	default:
		b.endIdle()
	}
	return failed, late
}

// abandonLate removes the senders whose batch takes too long. Nobody waits for them any more. It is called with the lock.
func (b *batcher) abandonLate(at mono.Instant) (failed []failedBatch, late []*Read) {
	timeout := b.requester.Timeout
	b.senders = slices.DeleteFunc(b.senders, func(s *sender) bool {
		if len(s.batch) == 0 || at.Since(s.sentAt) < timeout-timeout/10 { // a bit less isn't worth another wait
			return false
		}
		late = append(late, s.batch...)
		if s.alone {
			b.alone--
		}
		if s.abandoned = true; !s.reported { // else go-redis has returned
			s.reported = true
			failed = append(failed, failedBatch{s.batch[0].target, s.ctx, s.sentAt})
		}
		return true
	})
	return failed, late
}

var errLate = callError(stepGet, context.DeadlineExceeded)

// close ends the waiting reads, and the senders as they are back.
func (b *batcher) close() {
	b.mu.Lock()
	waiting := b.waiting
	b.waiting, b.keys = nil, 0
	b.closed = true
	b.endIdle()
	b.mu.Unlock()
	for _, rd := range waiting {
		rd.finishClosed()
	}
}

// endSession ends the reads of a session.
func (b *batcher) endSession(session *Session) {
	b.mu.Lock()
	reads := slices.Clone(b.waiting)
	for _, s := range b.senders {
		reads = append(reads, s.batch...)
	}
	b.mu.Unlock()
	for _, rd := range reads {
		if rd.session == session {
			rd.finishClosed()
		}
	}
}

// endIdle ends the idle senders. It is called with the lock.
func (b *batcher) endIdle() {
	for _, s := range b.idle {
		close(s.work)
	}
	b.senders = slices.DeleteFunc(b.senders, func(s *sender) bool { return slices.Contains(b.idle, s) })
	b.idle = nil
}
