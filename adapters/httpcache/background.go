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
	// unreachedTTL is how long the requests for a key are not renewed behind, after a run that didn't reach the cache.
	unreachedTTL = time.Minute
	// failingTTL is how long a handler that failed in a request's foreground is left alone, where there is a stale response.
	failingTTL = 2 * time.Second
)

// maxBackground is how many runs behind requests a cache has at a time. For one more, the next request tries again.
const maxBackground = 64

var errBusy = errors.New("httpcache: too many runs behind requests")

// errUnreached is the error of a run that a handler around the cache answered, or sent to another key.
var errUnreached = errors.New("httpcache: a run behind a request didn't reach the cache")

// serveStale serves a stale response and has it renewed behind the request. If the server can't run the handler behind,
// it is renewed first.
func (c *Cache) serveStale(view *requestView, cand *candidate, d rfc9111.Directives) {
	if view.r.Method == http.MethodHead { // its response has no body: the next GET renews what is stored
		c.hit(view, cand)
		return
	}
	view.request()
	if !c.unreached.has(cand.key) {
		if behind := view.x.Detach(); behind != nil {
			c.hit(view, cand)
			c.renewInBackground(behind, *cand)
			return
		}
	}
	c.renewInForeground(view, cand, d)
}

// renewInForeground renews a stale response before it answers. If the handler fails, or is asked already, the stale response is
// the answer.
func (c *Cache) renewInForeground(view *requestView, cand *candidate, d rfc9111.Directives) {
	p := newParticipant(&missRequest{
		candidate: *cand, flightKey: cand.key, request: view.request(), directives: d, forward: rfc9111.ForStale, detail: "foreground", reload: true, mayServeStale: true,
	})
	if d.OnlyIfCached || c.failing.has(cand.key) || !c.groups.join(p, c.options.Collapse(p.request)) {
		c.hit(view, cand)
		return
	}
	c.stats.misses.Add(1)
	c.joinFlight(view.x, p)
	if p.failed {
		c.failing.add(cand.key, failingTTL)
	}
}

// renewInBackground has the handler asked, behind the request, for a new response in place of a stale one. The store has one such load of a
// key at a time, and ends them on Close.
func (c *Cache) renewInBackground(d Exchange, cand candidate) {
	m := &missRequest{candidate: cand, flightKey: cand.key, request: c.normalised(d.Request()), forward: rfc9111.ForStale}
	// The load goes on in the background: nobody waits for it, as the store would have the request do for what was purged softly.
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

// backgroundRun is one run behind a request. It begins at the server's outermost handler, as if the client had sent its request
// once more, so that the handlers around the cache make their state anew. It is recorded if it comes to the same key of
// the same cache; other caches, and other keys, let it pass.
type backgroundRun struct {
	cache *Cache
	miss  *missRequest
	rec   *Recording
	ctx   context.Context // for the outermost handler

	state atomic.Int32  // underway, arrived or over
	done  chan struct{} // closed when it has arrived and the cache has returned
}

const (
	underway int32 = iota
	arrived
	over
)

// runInBackground runs the server's outermost handler, and returns the outcome of the part of the run that was recorded.
func (c *Cache) runInBackground(ctx context.Context, d Exchange, m *missRequest) (o outcome, err error) {
	p := newParticipant(m)
	v := &backgroundRun{cache: c, miss: m, rec: c.record(p), done: make(chan struct{})}
	v.ctx = context.WithValue(ctx, runKey{}, &run{background: v})
	v.rec.background = v
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
		return <-p.outcome, nil // every end delivers one
	case <-ctx.Done():
		p.abandoned.Store(true)
		return outcome{}, ctx.Err()
	}
}

// attach records the rest of the run if it has come to the cache and to the key that it was begun for. It reports whether
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
	m.request = ownedCopy(r)
	c.lead(view.x, v.rec)
	return true
}

// selectsSame reports whether a request has the same values as that of w of what the response varies by that was found.
func (m *missRequest) selectsSame(request http.Header) bool {
	names := m.found.vary()
	return len(names) == 0 || rfc9111.Selecting(names, m.request.Header) == rfc9111.Selecting(names, request)
}

// serveNested answers a request that is part of a run which a cache records, or is on its way to one. It reports whether it has.
func (c *Cache) serveNested(r *run, cand *candidate, view *requestView) bool {
	switch {
	case r.background != nil:
		if !r.background.attach(c, cand, view) {
			view.x.Run(new(Recording))
		}
	case r.recorded(c, cand.primary): // the same cache, twice around one handler: the outer one records
		view.x.Run(new(Recording))
	default:
		return false
	}
	return true
}

// ownedCopy returns the request with a header and a URL of its own, which may be read after the request has been answered: the
// handler, and those around the cache, may change theirs.
func ownedCopy(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	u := *r.URL
	r.URL, r.Header = &u, r.Header.Clone()
	return r
}
