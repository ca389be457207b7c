package httpcache

import (
	"maps"
	"net/http"
	"sync"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Answer answers one exchange: from the store, or by running the handler. It returns when the answer is complete, and
// panics if the handler does.
func (c *Cache) Answer(x Exchange) {
	q := c.inquire(x)
	if q.r.Method != http.MethodGet && q.r.Method != http.MethodHead {
		c.stats.bypassed.Add(1)
		c.change(x, q.request())
		return
	}
	d := rfc9111.NoDirectives
	if q.heed(rfc9111.HeedsDirectives) {
		d = rfc9111.ParseDirectives(q.r.Header)
	}
	// A body has no meaning in a GET (RFC 9110 §9.3.1), but handlers may read it all the same.
	// A handler around the cache that codes the answer would code a part of the uncoded body, which is no part of the coded one.
	coded := q.heed(rfc9111.HeedsRange) && len(x.Around("Content-Encoding")) > 0
	if q.r.ContentLength != 0 || q.heed(rfc9111.HeedsOrigin) || coded {
		c.bypass(x, rfc9111.ForBypass)
		return
	}
	if d.NoStore { // RFC 9111 §5.2.1.5
		c.bypass(x, rfc9111.ForRequest)
		return
	}
	q.r = c.normalised(q.r)
	var p place
	if p.primary, p.private = c.primary(q.r); p.primary == "" {
		c.bypass(x, rfc9111.ForBypass)
		return
	}
	if r := runOf(q.ctx); r != nil && c.nested(r, &p, &q) {
		return
	}
	c.find(&p, &q)
	if q.heed(rfc9111.HeedsRange) && ranged(q.r) && (p.found == nil || p.decide(d) != rfc9111.Serve) {
		if part, ok := c.findPart(p, &q); ok && part.decide(d) == rfc9111.Serve {
			p = part
		}
	}
	if p.found == nil {
		c.ask(&q, &p, d, false)
		return
	}
	switch p.decide(d) {
	case rfc9111.Serve:
		c.hit(&q, &p)
	case rfc9111.ServeAndRefresh:
		c.serveStale(&q, &p, d)
	case rfc9111.Validate:
		c.ask(&q, &p, d, false)
	case rfc9111.ValidateOrStale:
		c.ask(&q, &p, d, true)
	}
}

// hit answers with what was found.
func (c *Cache) hit(q *inquiry, p *place) {
	c.stats.hits.Add(1)
	reply := replies.Get().(*Reply)
	reply.stored, reply.age = p.found.among(q.x.Around), p.age
	reply.status = rfc9111.Status{Cache: c.options.Name, Hit: true, TTL: p.found.Lifetime - p.age}
	if p.expired {
		reply.status.TTL = p.left()
	}
	c.shape(reply, q.r, q.heeds)
	q.x.Serve(reply)
	*reply = Reply{}
	replies.Put(reply) // where Serve panics it may still be of use
}

var replies = sync.Pool{New: func() any { return new(Reply) }}

// ask has the handler answer, for what is stored isn't there or can't be used as it is. stale: if the handler fails, it can.
func (c *Cache) ask(q *inquiry, p *place, d rfc9111.Directives, stale bool) {
	x, r := q.x, q.request()
	if d.OnlyIfCached { // RFC 9111 §5.2.1.7
		c.stats.misses.Add(1)
		x.Serve(c.gatewayTimeout(r))
		return
	}
	w := &want{place: *p, at: p.key, request: r, directives: d, stale: stale, why: rfc9111.ForMiss}
	switch left := p.left(); {
	case p.found != nil && left > 0:
		w.why, w.reload = rfc9111.ForRequest, true
	case p.found != nil: // while the store has a use for it, only Refresh loads a new one
		w.why = rfc9111.ForStale
		w.reload = !p.expired && (p.fresh || -left < p.found.Behind) || d.NoCache || d.MaxAge == 0
	case d.NoCache || d.MaxAge == 0:
		w.why, w.reload = rfc9111.ForRequest, true
	case p.index != nil, p.rejected:
		w.why = rfc9111.ForVaryMiss
	}
	c.stats.misses.Add(1)
	w.reload = w.reload || p.found == nil && p.rejected // or the store would find that
	switch {
	case p.found == nil && p.forbidden:
		x.Run(&Recording{status: rfc9111.Status{Cache: c.options.Name, Forward: rfc9111.ForBypass, Detail: "around"}})
	case r.Method == http.MethodHead && stale:
		rec := c.watchHead(w)
		if x.Run(rec); rec.reply != nil {
			x.Serve(rec.reply)
		}
	case r.Method == http.MethodHead, p.barred(r) && p.found == nil && c.refused.has(p.key):
		c.pass(x, w.why)
	case ranged(r) && p.found == nil:
		w.reload, w.at = true, partKey(p.key) // nobody waits for a part
		c.miss(x, w)
	default:
		w.reload = w.reload || p.refused // nobody waits for a response that will hardly be stored
		c.miss(x, w)
	}
}

// bypass runs the handler for a request that the cache has no part in.
func (c *Cache) bypass(x Exchange, why rfc9111.Forward) {
	c.stats.bypassed.Add(1)
	c.pass(x, why)
}

// pass runs the handler without recording what it answers.
func (c *Cache) pass(x Exchange, why rfc9111.Forward) {
	x.Run(&Recording{status: rfc9111.Status{Cache: c.options.Name, Forward: why}})
}

// normalised returns the request with its Accept-Encoding reduced to what counts.
func (c *Cache) normalised(r *http.Request) *http.Request {
	if len(c.options.Encodings) == 0 {
		return r
	}
	r = r.WithContext(r.Context())
	r.Header = maps.Clone(r.Header)
	r.Header[acceptEncoding] = []string{rfc9111.Encoding(r.Header[acceptEncoding], c.options.Encodings)}
	return r
}

const (
	acceptEncoding = "Accept-Encoding"
	identity       = "identity"
)

func ranged(r *http.Request) bool { return r.Method == http.MethodGet && len(r.Header["Range"]) > 0 }
