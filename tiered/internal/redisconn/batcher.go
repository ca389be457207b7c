package redisconn

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	// maxSenders is how many readings go to a server at a time, each over a connection of its own. A breaker has to see
	// missesToOpen of them fail before it opens.
	maxSenders = 4
	// MaxBatch is how many keys one of them has at most: they all wait for the slowest.
	MaxBatch = 128
	// minCallers is from how many callers of a convoy on others wait for a lane to be back though there are free ones. Callers that are
	// served by a convoy come back one by one: if each of them left at once, they would never again be many.
	minCallers = 2
	// gatherMost is for how long they wait at most, where convoys take less. A timer for each convoy would cost more than it.
	gatherMost = time.Millisecond
)

// batcher is how the reads of some keys go to one server: at once, by themselves, as long as few are under way, and
// otherwise together with those that came meanwhile, as soon as an earlier one is back. So nobody waits for company but in
// a crowd, and the more there are, the less each costs. It is our own since go-redis's automatic pipelining, which is experimental,
// ends no call with its context, has one command for each key where one for all of them will do, and costs a single
// caller more than a plain GET.
type batcher struct {
	redis   *Conn
	breaker *Breaker

	mu      sync.Mutex
	closed  bool
	senders []*sender // all but those that are overdue
	idle    []*sender
	waiting []*Read
	keys    int // of those that wait
	sweeps  oneShot
	leaves  oneShot
	left    mono.Instant  // when the last convoy did
	takes   time.Duration // a convoy, on average
	callers int           // how many callers convoys had lately
	slow    slowKeys      // keys that are not to hold others up
}

// batchers are those of one Redis.
type batchers struct {
	mu     sync.Mutex
	closed bool
	all    []*batcher
	// bells are used again once they have rung. A reading isn't: those who may still answer it would answer another.
	bells sync.Pool
}

// batcherOf returns the pipeline to the breaker's server, which may be closed.
func (r *Conn) batcherOf(b *Breaker) *batcher {
	if p := b.batcher.Load(); p != nil {
		return p
	}
	ps := &r.batchers
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := b.batcher.Load(); p != nil {
		return p
	}
	p := &batcher{redis: r, breaker: b, closed: ps.closed}
	p.sweeps.do, p.leaves.do = p.sweep, p.leave
	b.batcher.Store(p)
	if !p.closed {
		ps.all = append(ps.all, p)
	}
	return p
}

// CloseBatchers ends what waits. What is under way ends by itself.
func (r *Conn) CloseBatchers() {
	ps := &r.batchers
	ps.mu.Lock()
	ps.closed = true
	all := ps.all
	ps.all = nil
	ps.mu.Unlock()
	for _, p := range all {
		p.close()
	}
}

// dropBatcher is for a server that is no more.
func (r *Conn) dropBatcher(b *Breaker) {
	p := r.batcherOf(b)
	r.batchers.mu.Lock()
	r.batchers.all = slices.DeleteFunc(r.batchers.all, func(other *batcher) bool { return other == p })
	r.batchers.mu.Unlock()
	p.close()
}

// EndSession ends a session's readings.
func (r *Conn) EndSession(owner *Session) {
	r.batchers.mu.Lock()
	all := slices.Clone(r.batchers.all)
	r.batchers.mu.Unlock()
	for _, p := range all {
		p.mu.Lock()
		for _, rd := range p.waiting {
			rd.abandon(owner)
		}
		for _, l := range p.senders {
			for _, rd := range l.batch {
				rd.abandon(owner)
			}
		}
		p.mu.Unlock()
	}
}

// ask has the reading sent: now, or with others; false: that takes a call of its own.
func (p *batcher) ask(rd *Read) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || slices.ContainsFunc(rd.Keys, func(key string) bool { return p.slow.has(key, rd.at) }) {
		return false
	}
	p.waiting = append(p.waiting, rd)
	p.keys += len(rd.Keys)
	p.dispatch(rd.at)
	p.watch(rd.at.Add(p.redis.Timeout), rd.at)
	return true
}

// dispatch has what waits sent, if there is a lane for it. It is called with the lock.
func (p *batcher) dispatch(at mono.Instant) {
	if p.gathers(at) {
		p.limit(at)
		return
	}
	var l *sender
	if n := len(p.idle); n > 0 {
		l, p.idle = p.idle[n-1], p.idle[:n-1]
	} else if len(p.senders) < maxSenders && p.redis.Calls.Begin() {
		l = &sender{batcher: p, work: make(chan struct{}, 1)}
		p.senders = append(p.senders, l)
		go l.run()
	} else {
		return
	}
	p.left = at
	l.work <- struct{}{}
}

// gathers answers whether what waits is to wait for more: while there are many callers, convoys leave when one is back, or
// should be half way. It is called with the lock.
func (p *batcher) gathers(at mono.Instant) bool {
	return p.callers >= minCallers && len(p.idle) < len(p.senders) && p.keys < MaxBatch && at.Since(p.left) < p.takes/2
}

// limit has what gathers leave though nobody else comes, and the convoy before isn't back. It is called with the lock.
func (p *batcher) limit(at mono.Instant) {
	p.leaves.in(p.left.Add(max(p.takes, gatherMost)).Since(at))
}

func (p *batcher) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leaves.set = false; len(p.waiting) > 0 {
		p.dispatch(mono.Now())
	}
}

// watch has the pipeline swept then, unless it will be earlier. It is called with the lock.
func (p *batcher) watch(then, at mono.Instant) { p.sweeps.in(then.Since(at)) }

// oneShot has something done once, later. It is used under the pipeline's lock, and what is done unsets it.
type oneShot struct {
	do    func()
	set   bool
	timer *time.Timer // nil: it was never set
}

// in does nothing where it is set already.
func (a *oneShot) in(wait time.Duration) {
	switch {
	case a.set:
		return
	case a.timer == nil:
		a.timer = time.AfterFunc(wait, a.do)
	default:
		a.timer.Reset(wait)
	}
	a.set = true
}

// sweep ends the readings whose Timeout is over. What they are under way with keeps nobody else waiting any more. Where nothing
// is under way the lanes end: they are back as soon as somebody asks.
func (p *batcher) sweep() {
	at := mono.Now()
	last := at.Add(-p.redis.Timeout) // what was asked or sent before is late
	var next mono.Instant = math.MaxInt64
	var late []*Read
	var missed []Target
	var sent []mono.Instant
	p.mu.Lock()
	p.sweeps.set = false
	see := func(rd *Read) {
		if rd.state.Load() != readingAsked {
			return
		}
		if rd.at <= last {
			late = append(late, rd)
		} else {
			next = min(next, rd.at)
		}
	}
	p.senders = slices.DeleteFunc(p.senders, func(l *sender) bool {
		// One that left only a bit later isn't worth another wait.
		if len(l.batch) == 0 || at.Since(l.sent) < p.redis.Timeout-p.redis.Timeout/10 {
			for _, rd := range l.batch {
				see(rd)
			}
			return false
		}
		late = append(late, l.batch...)
		if l.lost = true; !l.reported {
			l.reported = true
			missed, sent = append(missed, l.batch[0].to), append(sent, l.sent)
		}
		return true
	})
	for _, rd := range p.waiting {
		see(rd)
	}
	if len(p.waiting) > 0 {
		p.dispatch(at)
	}
	switch {
	case next < math.MaxInt64:
		p.watch(next.Add(p.redis.Timeout), at)
	case len(p.idle) < len(p.senders):
		p.watch(at.Add(p.redis.Timeout), at)
	default:
		p.retire()
	}
	p.mu.Unlock()
	for i, to := range missed {
		to.Report(context.Background(), sent[i], errLate)
	}
	for _, rd := range late {
		rd.give(rd.failed(context.DeadlineExceeded))
	}
}

var errLate = fmt.Errorf("tiered: redis: get: %w", context.DeadlineExceeded)

// close ends the lanes as they are back, and what waits for them.
func (p *batcher) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.retire()
	for _, rd := range p.waiting {
		rd.give(Failed(len(rd.Keys), ErrClosed, rd.to.Feed))
	}
	p.waiting, p.keys = nil, 0
}

// retire ends the lanes that are idle. It is called with the lock.
func (p *batcher) retire() {
	for _, l := range p.idle {
		close(l.work)
	}
	p.senders = slices.DeleteFunc(p.senders, func(l *sender) bool { return slices.Contains(p.idle, l) })
	p.idle = nil
}
