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
	// maxSenders is how many batches go to a server at a time, each over a connection of its own. At least missesToOpen of
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
type batcher struct {
	redis   *Conn
	breaker *Breaker

	mu       sync.Mutex
	closed   bool
	senders  []*sender // all but those that were given up
	idle     []*sender
	waiting  []*Read
	keys     int // of the waiting reads
	sweeping oneShot
	sending  oneShot       // of what gathers
	sentAt   mono.Instant  // when the last batch was sent
	takes    time.Duration // a batch, on average
	callers  int           // how many callers recent batches had
	slow     slowKeys
}

// batchers are those of one Conn.
type batchers struct {
	mu     sync.Mutex
	closed bool
	all    []*batcher
	// doneChans are reused once their element was received. A Read isn't: a sender that is late may still finish it.
	doneChans sync.Pool
}

// batcherOf returns the batcher of the breaker's server. It may be closed.
func (r *Conn) batcherOf(b *Breaker) *batcher {
	if p := b.batcher.Load(); p != nil {
		return p
	}
	all := &r.batchers
	all.mu.Lock()
	defer all.mu.Unlock()
	if p := b.batcher.Load(); p != nil {
		return p
	}
	p := &batcher{redis: r, breaker: b, closed: all.closed}
	p.sweeping.do, p.sending.do = p.sweep, p.sendGathered
	b.batcher.Store(p)
	if !p.closed {
		all.all = append(all.all, p)
	}
	return p
}

// CloseBatchers ends the reads that wait. Those under way end by themselves.
func (r *Conn) CloseBatchers() {
	r.batchers.mu.Lock()
	r.batchers.closed = true
	all := r.batchers.all
	r.batchers.all = nil
	r.batchers.mu.Unlock()
	for _, p := range all {
		p.close()
	}
}

// dropBatcher closes the batcher of a server that was removed.
func (r *Conn) dropBatcher(b *Breaker) {
	p := r.batcherOf(b)
	r.batchers.mu.Lock()
	r.batchers.all = slices.DeleteFunc(r.batchers.all, func(other *batcher) bool { return other == p })
	r.batchers.mu.Unlock()
	p.close()
}

// enqueue has the read sent, now or with others; false: it takes a call of its own.
func (p *batcher) enqueue(rd *Read) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || slices.ContainsFunc(rd.Keys, func(key string) bool { return p.slow.has(key, rd.at) }) {
		return false
	}
	p.waiting = append(p.waiting, rd)
	p.keys += len(rd.Keys)
	p.dispatch(rd.at)
	p.sweepAt(rd.at.Add(p.redis.Timeout), rd.at)
	return true
}

// dispatch has the waiting reads sent, if there is a sender for them. It is called with the lock.
func (p *batcher) dispatch(at mono.Instant) {
	if p.gathers(at) {
		p.sending.after(p.sentAt.Add(max(p.takes, minGatherLimit)).Since(at))
		return
	}
	var s *sender
	if n := len(p.idle); n > 0 {
		s, p.idle = p.idle[n-1], p.idle[:n-1]
	} else if len(p.senders) < maxSenders && p.redis.Calls.Begin() {
		s = &sender{batcher: p, work: make(chan struct{}, 1)}
		p.senders = append(p.senders, s)
		go s.run()
	} else {
		return
	}
	p.sentAt = at
	s.work <- struct{}{}
}

// gathers reports whether the waiting reads wait for more: while there are many callers, a batch is sent when another is back,
// or should be half way. It is called with the lock.
func (p *batcher) gathers(at mono.Instant) bool {
	return p.callers >= minCallers && len(p.idle) < len(p.senders) && p.keys < MaxBatch && at.Since(p.sentAt) < p.takes/2
}

// sendGathered sends what gathers if no further read came, and the batch before isn't back.
func (p *batcher) sendGathered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sending.set = false; len(p.waiting) > 0 {
		p.dispatch(mono.Now())
	}
}

// sweepAt has sweep called then, or earlier. It is called with the lock.
func (p *batcher) sweepAt(then, at mono.Instant) { p.sweeping.after(then.Since(at)) }

// oneShot is a timer for one call at a time. It is used under the batcher's lock, and do sets set to false.
type oneShot struct {
	do    func()
	set   bool
	timer *time.Timer // nil: it was never set
}

// after sets the timer, unless it is set.
func (o *oneShot) after(wait time.Duration) {
	switch {
	case o.set:
		return
	case o.timer == nil:
		o.timer = time.AfterFunc(wait, o.do)
	default:
		o.timer.Reset(wait)
	}
	o.set = true
}

// sweep ends the reads whose Timeout is over, and gives up the senders that have them: nobody waits for those any more. If no
// batch is under way it ends the idle senders: the next read makes others.
func (p *batcher) sweep() {
	reports, late := p.collectLate(mono.Now())
	for _, report := range reports {
		report()
	}
	for _, rd := range late {
		rd.finish(rd.failed(context.DeadlineExceeded))
	}
}

// collectLate returns the reads that are late, and what the breaker is to be told.
func (p *batcher) collectLate(at mono.Instant) (reports []func(), late []*Read) {
	timeout := p.redis.Timeout
	var next mono.Instant = math.MaxInt64 // when the next was asked
	collect := func(reads []*Read) {
		for _, rd := range reads {
			switch {
			case rd.state.Load() != readAsked:
			case rd.at <= at.Add(-timeout):
				late = append(late, rd)
			default:
				next = min(next, rd.at)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweeping.set = false
	p.senders = slices.DeleteFunc(p.senders, func(s *sender) bool {
		if len(s.batch) == 0 || at.Since(s.sentAt) < timeout-timeout/10 { // a bit less isn't worth another wait
			collect(s.batch)
			return false
		}
		late = append(late, s.batch...)
		if s.lost = true; !s.reported {
			s.reported = true
			to, sentAt := s.batch[0].to, s.sentAt
			reports = append(reports, func() { to.Report(context.Background(), sentAt, errLate) })
		}
		return true
	})
	collect(p.waiting)
	if len(p.waiting) > 0 {
		p.dispatch(at)
	}
	switch {
	case next < math.MaxInt64:
		p.sweepAt(next.Add(timeout), at)
	case len(p.idle) < len(p.senders):
		p.sweepAt(at.Add(timeout), at)
	default:
		p.endIdle()
	}
	return reports, late
}

var errLate = callError("get", context.DeadlineExceeded)

// close ends the waiting reads, and the senders as they are back.
func (p *batcher) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.endIdle()
	for _, rd := range p.waiting {
		rd.finishClosed()
	}
	p.waiting, p.keys = nil, 0
}

// end ends the reads of a session.
func (p *batcher) end(session *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	finish := func(reads []*Read) {
		for _, rd := range reads {
			if rd.session == session {
				rd.finishClosed()
			}
		}
	}
	finish(p.waiting)
	for _, s := range p.senders {
		finish(s.batch)
	}
}

// endIdle ends the idle senders. It is called with the lock.
func (p *batcher) endIdle() {
	for _, s := range p.idle {
		close(s.work)
	}
	p.senders = slices.DeleteFunc(p.senders, func(s *sender) bool { return slices.Contains(p.idle, s) })
	p.idle = nil
}
