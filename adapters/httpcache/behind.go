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
	// restTTL is how long a handler that failed in a request's foreground is left alone, where there is a stale response.
	restTTL = 2 * time.Second
)

// maxBehind is how many runs behind requests a cache has at a time. For one more, the next request tries again.
const maxBehind = 64

var errBusy = errors.New("httpcache: too many runs behind requests")

// errUnreached is the error of a run that a handler around the cache answered, or sent to another key.
var errUnreached = errors.New("httpcache: a run behind a request didn't reach the cache")

// serveStale serves a stale response and has it renewed behind the request. If the server can't run the handler behind,
// it is renewed first.
func (c *Cache) serveStale(q *inquiry, p *place, d rfc9111.Directives) {
	if q.r.Method == http.MethodHead { // its response has no body: the next GET renews what is stored
		c.hit(q, p)
		return
	}
	q.request()
	if !c.unreached.has(p.key) {
		if behind := q.x.Detach(); behind != nil {
			c.hit(q, p)
			c.renew(behind, *p)
			return
		}
	}
	c.renewFirst(q, p, d)
}

// renewFirst renews a stale response before it answers. If the handler fails, or is asked already, the stale response is
// the answer.
func (c *Cache) renewFirst(q *inquiry, p *place, d rfc9111.Directives) {
	t := newTurn(&want{
		place: *p, at: p.key, request: q.request(), directives: d, why: rfc9111.ForStale, detail: "foreground", reload: true, stale: true,
	})
	if d.OnlyIfCached || c.resting.has(p.key) || !c.crowds.join(t, c.options.Collapse(t.request)) {
		c.hit(q, p)
		return
	}
	c.stats.misses.Add(1)
	c.fly(q.x, t)
	if t.failed {
		c.resting.add(p.key, restTTL)
	}
}

// renew has the handler asked, behind the request, for a new response in place of a stale one. The store has one such load of a
// key at a time, and ends them on Close.
func (c *Cache) renew(d Exchange, p place) {
	w := &want{place: p, at: p.key, request: c.normalised(d.Request()), why: rfc9111.ForStale}
	// The load goes on in the background: nobody waits for it, as the store would have the request do for what was purged softly.
	ctx, leave := context.WithCancel(w.request.Context())
	leave()
	_, _ = c.store.GetOrLoad(ctx, p.key, func(ctx context.Context, e *tiered.Entry[*response]) (*response, error) {
		select {
		case c.behind <- struct{}{}:
			defer func() { <-c.behind }()
		default:
			return nil, errBusy
		}
		o, err := c.runBehind(ctx, d, w)
		if err != nil {
			return nil, err
		}
		return c.settle(ctx, w, e, o)
	})
}

// renewal is one run behind a request. It begins at the server's outermost handler, as if the client had sent its request
// once more, so that the handlers around the cache make their state anew. It is recorded if it comes to the same key of
// the same cache; other caches, and other keys, let it pass.
type renewal struct {
	cache *Cache
	want  *want
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

// runBehind runs the server's outermost handler, and returns the outcome of the part of the run that was recorded.
func (c *Cache) runBehind(ctx context.Context, d Exchange, w *want) (o outcome, err error) {
	t := newTurn(w)
	v := &renewal{cache: c, want: w, rec: c.record(t), done: make(chan struct{})}
	v.ctx = context.WithValue(ctx, runKey{}, &run{renewal: v})
	v.rec.renewal = v
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("httpcache: the handler panicked: %v", p)
		}
		if v.state.CompareAndSwap(underway, over) {
			c.unreached.add(w.key, unreachedTTL)
			err = cmp.Or(err, errUnreached)
		}
	}()
	d.Run(v.rec)
	if v.state.Load() == underway {
		return outcome{}, errUnreached
	}
	select {
	case <-v.done: // a handler around the cache may have returned before, such as http.TimeoutHandler
		return <-t.outcome, nil // every end delivers one
	case <-ctx.Done():
		t.over.Store(true)
		return outcome{}, ctx.Err()
	}
}

// arrive records the rest of the run if it has come to the cache and to the key that it was begun for. It reports whether
// it has.
func (v *renewal) arrive(c *Cache, p *place, q *inquiry) bool {
	w := v.want
	if c != v.cache || q.r.Method != http.MethodGet || p.primary != w.primary {
		return false
	}
	r := q.request()
	if w.index != nil && w.index.variant(w.primary, w.names, r.Header) != w.key || !w.selects(r.Header) {
		return false
	}
	if !v.state.CompareAndSwap(underway, arrived) {
		return false
	}
	defer close(v.done)
	w.request = keepable(r)
	c.lead(q.x, v.rec)
	return true
}

// selects reports whether a request has the same values as that of w of what the response varies by that was found.
func (w *want) selects(request http.Header) bool {
	names := w.found.vary()
	return len(names) == 0 || rfc9111.Selecting(names, w.request.Header) == rfc9111.Selecting(names, request)
}

// nested answers a request that is part of a run which a cache records, or is on its way to one. It reports whether it has.
func (c *Cache) nested(r *run, p *place, q *inquiry) bool {
	switch {
	case r.renewal != nil:
		if !r.renewal.arrive(c, p, q) {
			q.x.Run(new(Recording))
		}
	case r.recorded(c, p.primary): // the same cache, twice around one handler: the outer one records
		q.x.Run(new(Recording))
	default:
		return false
	}
	return true
}

// keepable returns the request with a header and a URL of its own, which may be read after the request has been answered: the
// handler, and those around the cache, may change theirs.
func keepable(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	u := *r.URL
	r.URL, r.Header = &u, r.Header.Clone()
	return r
}
