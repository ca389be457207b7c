package tiered

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
	// maxLanes is how many readings go to a server at a time, each over a connection of its own. A breaker has to see
	// missesToOpen of them fail before it opens.
	maxLanes = 4
	// maxConvoy is how many keys one of them has at most: they all wait for the slowest.
	maxConvoy = 128
	// minCrowd is from how many callers of a convoy on others wait for a lane to be back though there are free ones. Callers that are
	// served by a convoy come back one by one: if each of them left at once, they would never again be many.
	minCrowd = 2
	// gatherMost is for how long they wait at most, where convoys take less. A timer for each convoy would cost more than it.
	gatherMost = time.Millisecond
)

// pipeline is how the reads of some keys go to one server: at once, by themselves, as long as few are under way, and
// otherwise together with those that came meanwhile, as soon as an earlier one is back. So nobody waits for company but in
// a crowd, and the more there are, the less each costs. It is our own since go-redis's automatic pipelining, which is experimental,
// ends no call with its context, has one command for each key where one for all of them will do, and costs a single
// caller more than a plain GET.
type pipeline struct {
	redis   *conn
	breaker *breaker

	mu      sync.Mutex
	closed  bool
	lanes   []*lane // all but those that are overdue
	idle    []*lane
	waiting []*reading
	keys    int // of those that wait
	sweeps  alarm
	leaves  alarm
	left    mono.Instant  // when the last convoy did
	takes   time.Duration // a convoy, on average
	crowd   int           // how many callers convoys had lately
	alone   solitude      // keys that are not to hold others up
}

// pipelines are those of one Redis.
type pipelines struct {
	mu     sync.Mutex
	closed bool
	all    []*pipeline
	// bells are used again once they have rung. A reading isn't: those who may still answer it would answer another.
	bells sync.Pool
}

// pipelineOf returns the pipeline to the breaker's server, which may be closed.
func (r *conn) pipelineOf(b *breaker) *pipeline {
	if p := b.pipeline.Load(); p != nil {
		return p
	}
	ps := &r.pipelines
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := b.pipeline.Load(); p != nil {
		return p
	}
	p := &pipeline{redis: r, breaker: b, closed: ps.closed}
	p.sweeps.do, p.leaves.do = p.sweep, p.leave
	b.pipeline.Store(p)
	if !p.closed {
		ps.all = append(ps.all, p)
	}
	return p
}

// closePipelines ends what waits. What is under way ends by itself.
func (r *conn) closePipelines() {
	ps := &r.pipelines
	ps.mu.Lock()
	ps.closed = true
	all := ps.all
	ps.all = nil
	ps.mu.Unlock()
	for _, p := range all {
		p.close()
	}
}

// dropPipeline is for a server that is no more.
func (r *conn) dropPipeline(b *breaker) {
	p := r.pipelineOf(b)
	r.pipelines.mu.Lock()
	r.pipelines.all = slices.DeleteFunc(r.pipelines.all, func(other *pipeline) bool { return other == p })
	r.pipelines.mu.Unlock()
	p.close()
}

// abandon ends a session's readings.
func (r *conn) abandon(owner *session) {
	r.pipelines.mu.Lock()
	all := slices.Clone(r.pipelines.all)
	r.pipelines.mu.Unlock()
	for _, p := range all {
		p.mu.Lock()
		for _, rd := range p.waiting {
			rd.abandon(owner)
		}
		for _, l := range p.lanes {
			for _, rd := range l.convoy {
				rd.abandon(owner)
			}
		}
		p.mu.Unlock()
	}
}

// ask has the reading sent: now, or with others; false: that takes a call of its own.
func (p *pipeline) ask(rd *reading) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || slices.ContainsFunc(rd.keys, func(key string) bool { return p.alone.has(key, rd.at) }) {
		return false
	}
	p.waiting = append(p.waiting, rd)
	p.keys += len(rd.keys)
	p.dispatch(rd.at)
	p.watch(rd.at.Add(p.redis.timeout), rd.at)
	return true
}

// dispatch has what waits sent, if there is a lane for it. It is called with the lock.
func (p *pipeline) dispatch(at mono.Instant) {
	if p.gathers(at) {
		p.limit(at)
		return
	}
	var l *lane
	if n := len(p.idle); n > 0 {
		l, p.idle = p.idle[n-1], p.idle[:n-1]
	} else if len(p.lanes) < maxLanes && p.redis.calls.begin() {
		l = &lane{pipeline: p, work: make(chan struct{}, 1)}
		p.lanes = append(p.lanes, l)
		go l.run()
	} else {
		return
	}
	p.left = at
	l.work <- struct{}{}
}

// gathers answers whether what waits is to wait for more: while there are many callers, convoys leave when one is back, or
// should be half way. It is called with the lock.
func (p *pipeline) gathers(at mono.Instant) bool {
	return p.crowd >= minCrowd && len(p.idle) < len(p.lanes) && p.keys < maxConvoy && at.Since(p.left) < p.takes/2
}

// limit has what gathers leave though nobody else comes, and the convoy before isn't back. It is called with the lock.
func (p *pipeline) limit(at mono.Instant) {
	p.leaves.in(p.left.Add(max(p.takes, gatherMost)).Since(at))
}

func (p *pipeline) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leaves.set = false; len(p.waiting) > 0 {
		p.dispatch(mono.Now())
	}
}

// watch has the pipeline swept then, unless it will be earlier. It is called with the lock.
func (p *pipeline) watch(then, at mono.Instant) { p.sweeps.in(then.Since(at)) }

// alarm has something done once, later. It is used under the pipeline's lock, and what is done unsets it.
type alarm struct {
	do    func()
	set   bool
	timer *time.Timer // nil: it was never set
}

// in does nothing where it is set already.
func (a *alarm) in(wait time.Duration) {
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
func (p *pipeline) sweep() {
	at := mono.Now()
	last := at.Add(-p.redis.timeout) // what was asked or sent before is late
	var next mono.Instant = math.MaxInt64
	var late []*reading
	var missed []server
	var sent []mono.Instant
	p.mu.Lock()
	p.sweeps.set = false
	see := func(rd *reading) {
		if rd.state.Load() != readingAsked {
			return
		}
		if rd.at <= last {
			late = append(late, rd)
		} else {
			next = min(next, rd.at)
		}
	}
	p.lanes = slices.DeleteFunc(p.lanes, func(l *lane) bool {
		// One that left only a bit later isn't worth another wait.
		if len(l.convoy) == 0 || at.Since(l.sent) < p.redis.timeout-p.redis.timeout/10 {
			for _, rd := range l.convoy {
				see(rd)
			}
			return false
		}
		late = append(late, l.convoy...)
		if l.lost = true; !l.heeded {
			l.heeded = true
			missed, sent = append(missed, l.convoy[0].to), append(sent, l.sent)
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
		p.watch(next.Add(p.redis.timeout), at)
	case len(p.idle) < len(p.lanes):
		p.watch(at.Add(p.redis.timeout), at)
	default:
		p.retire()
	}
	p.mu.Unlock()
	for i, to := range missed {
		to.heed(context.Background(), sent[i], errLate)
	}
	for _, rd := range late {
		rd.give(rd.failed(context.DeadlineExceeded))
	}
}

var errLate = fmt.Errorf("tiered: redis: get: %w", context.DeadlineExceeded)

// close ends the lanes as they are back, and what waits for them.
func (p *pipeline) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.retire()
	for _, rd := range p.waiting {
		rd.give(failed(len(rd.keys), errClosed, rd.to.feed))
	}
	p.waiting, p.keys = nil, 0
}

// retire ends the lanes that are idle. It is called with the lock.
func (p *pipeline) retire() {
	for _, l := range p.idle {
		close(l.work)
	}
	p.lanes = slices.DeleteFunc(p.lanes, func(l *lane) bool { return slices.Contains(p.idle, l) })
	p.idle = nil
}
