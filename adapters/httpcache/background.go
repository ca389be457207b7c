package httpcache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

const (
	// unreachedTTL is how long a key's responses aren't renewed in the background after a run that didn't reach the cache.
	unreachedTTL = time.Minute
	// failingTTL is how long a handler that failed in the foreground isn't called again if there is a stale response.
	failingTTL = 2 * time.Second
)

var errBusy = errors.New("httpcache: too many background runs")

// errUnreached is the error of a run that a handler around the cache answered, or that arrived with another key.
var errUnreached = errors.New("httpcache: a background run didn't reach the cache")

// serveStale serves a stale response and renews it in the background. If the server can't run the handler in the background,
// it is renewed first.
func (c *Cache) serveStale(p *plan) {
	view, cand := &p.view, &p.candidate
	if view.r.Method == http.MethodHead { // its response has no body: the next GET renews the stored one
		c.hit(p)
		return
	}
	view.request()
	if !c.unreached.has(cand.key) {
		if behind := view.x.Detach(); behind != nil {
			c.hit(p)
			c.renewInBackground(behind, *cand)
			return
		}
	}
	c.renewInForeground(p)
}

// renewInForeground renews a stale response before it answers. If the handler fails, or another request is renewing the response, it
// serves the stale response.
func (c *Cache) renewInForeground(p *plan) {
	view, cand, d := &p.view, &p.candidate, p.directives
	leader := newParticipant(&missRequest{
		candidate: *cand, flightKey: cand.key, request: view.request(), directives: d, forward: rfc9111.ForStale, detail: "foreground", reload: true, mayServeStale: true,
	})
	if d.OnlyIfCached || c.failing.has(cand.key) || !c.join(leader, c.options.Collapse(leader.request)) {
		c.hit(p)
		return
	}
	c.stats.misses.Add(1)
	c.joinFlight(view.x, leader)
	if leader.failed {
		c.failing.add(cand.key, failingTTL)
	}
}

// renewInBackground renews a stale response in the background. The store has one such load of a
// key at a time, and ends them on Close.
func (c *Cache) renewInBackground(d Exchange, cand candidate) {
	m := &missRequest{candidate: cand, flightKey: cand.key, request: c.options.normalised(d.Request()), forward: rfc9111.ForStale}
	// The request doesn't wait for the load, though after a soft purge the store would let it wait.
	ctx, leave := context.WithCancel(m.request.Context())
	leave()
	_, _ = c.store.GetOrLoad(ctx, cand.key, func(ctx context.Context, e *tiered.Entry[*response]) (*response, error) {
		select {
		case c.background <- struct{}{}:
			defer func() { <-c.background }()
		default:
			return nil, errBusy
		}
		o, err := c.runInBackground(ctx, d, m)
		if err != nil {
			return nil, err
		}
		return c.loadResult(ctx, m, e, o)
	})
}

// backgroundRun is one background run. It begins at the server's outermost handler, as if the client had sent its request
// once more, so that the handlers around the cache make new state for it. It is recorded if it arrives at the same cache with the same
// key; otherwise caches let it pass.
type backgroundRun struct {
	cache *Cache
	miss  *missRequest
	rec   *Recording

	state atomic.Int32  // underway, arrived or over
	done  chan struct{} // closed when it has arrived, and the cache has returned
}

const (
	underway int32 = iota
	arrived
	over
)

// runInBackground runs the server's outermost handler, and returns the outcome of the recorded part of the run.
func (c *Cache) runInBackground(ctx context.Context, d Exchange, m *missRequest) (o outcome, err error) {
	p := newParticipant(m)
	v := &backgroundRun{cache: c, miss: m, rec: c.record(p), done: make(chan struct{})}
	v.rec.background = context.WithValue(ctx, runKey{}, v)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("httpcache: the handler panicked: %v", p)
		}
		if v.state.CompareAndSwap(underway, over) {
			c.unreached.add(m.key, unreachedTTL)
			err = cmp.Or(err, errUnreached)
		}
	}()
	d.Run(v.rec)
	if v.state.Load() == underway {
		return outcome{}, errUnreached
	}
	select {
	case <-v.done: // a handler around the cache may have returned before, such as http.TimeoutHandler
		return <-p.outcome, nil // every recorded run delivers an outcome
	case <-ctx.Done():
		p.abandoned.Store(true)
		return outcome{}, ctx.Err()
	}
}

// attach records the rest of the run if it has arrived at the cache and with the key for which it was begun. It reports whether
// it has.
func (v *backgroundRun) attach(c *Cache, cand *candidate, view *requestView) bool {
	m := v.miss
	if c != v.cache || view.r.Method != http.MethodGet || cand.primary != m.primary {
		return false
	}
	r := view.request()
	if m.index != nil && m.index.variant(m.primary, m.names, r.Header) != m.key || !m.selectsSame(r.Header) {
		return false
	}
	if !v.state.CompareAndSwap(underway, arrived) {
		return false
	}
	defer close(v.done)
	v.rec.arrived = true
	m.request = ownedCopy(r)
	c.lead(view.x, v.rec)
	return true
}

// selectsSame reports whether a request has the same values as that of m of the fields in the found response's Vary.
func (m *missRequest) selectsSame(request http.Header) bool {
	names := m.found.vary()
	return len(names) == 0 || rfc9111.Selecting(names, m.request.Header) == rfc9111.Selecting(names, request)
}

// serveNested answers a request of a run that a cache records, or of a background run. It reports whether it has.
func (c *Cache) serveNested(cand *candidate, view *requestView) bool {
	switch r := view.ctx.Value(runKey{}).(type) {
	case *backgroundRun:
		if r.attach(c, cand, view) {
			return true
		}
	case *run:
		if !r.recorded(c, cand.primary) { // otherwise the cache is twice around one handler: the outer one records
			return false
		}
	default:
		return false
	}
	view.x.Run(new(Recording))
	return true
}
