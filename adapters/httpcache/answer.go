package httpcache

import (
	"maps"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Answer answers one exchange: from the store, or by running the handler. It returns when the answer is complete, and
// panics if the handler does.
func (c *Cache) Answer(x Exchange) {
	r := x.Request()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		c.stats.bypassed.Add(1)
		c.change(x, r)
		return
	}
	d := rfc9111.ParseDirectives(r.Header)
	// A body has no meaning in a GET (RFC 9110 §9.3.1), but handlers may read it all the same.
	if rfc9111.Passes(r.Header) || r.ContentLength != 0 {
		c.bypass(x, rfc9111.ForBypass)
		return
	}
	if d.NoStore { // RFC 9111 §5.2.1.5
		c.bypass(x, rfc9111.ForRequest)
		return
	}
	r = c.normalised(r)
	primary, private := c.primary(r)
	if primary == "" {
		c.bypass(x, rfc9111.ForBypass)
		return
	}
	if r.Context().Value(leading{c}) == primary {
		x.Run(new(Recording)) // the same cache, twice around one handler: the outer one records
		return
	}
	p := c.find(place{primary: primary, key: primary, private: private}, r)
	if ranged(r) && (p.found == nil || p.decide(d) != rfc9111.Serve) {
		if part, ok := c.findPart(p, r); ok && part.decide(d) == rfc9111.Serve {
			p = part
		}
	}
	if p.found == nil {
		c.ask(x, r, p, d, false)
		return
	}
	switch p.decide(d) {
	case rfc9111.Serve:
		c.hit(x, r, p)
	case rfc9111.ServeAndRefresh:
		c.hit(x, r, p)
		if r.Method == http.MethodGet { // what a handler answers to HEAD can't be stored
			c.renew(x, p)
		}
	case rfc9111.Validate:
		c.ask(x, r, p, d, false)
	case rfc9111.ValidateOrStale:
		c.ask(x, r, p, d, true)
	}
}

// hit answers with what was found.
func (c *Cache) hit(x Exchange, r *http.Request, p place) {
	c.stats.hits.Add(1)
	x.Serve(c.reply(r, p.found, p.age, rfc9111.Status{Cache: c.options.Name, Hit: true, TTL: p.found.Lifetime - p.age}))
}

// ask has the handler answer, for what is stored isn't there or can't be used as it is. stale: if the handler fails, it can.
func (c *Cache) ask(x Exchange, r *http.Request, p place, d rfc9111.Directives, stale bool) {
	if d.OnlyIfCached { // RFC 9111 §5.2.1.7
		c.stats.misses.Add(1)
		x.Serve(c.gatewayTimeout(r))
		return
	}
	w := &want{place: p, at: p.key, request: r, directives: d, stale: stale, why: rfc9111.ForMiss}
	switch left := p.left(); {
	case p.found != nil && left > 0:
		w.why, w.reload = rfc9111.ForRequest, true
	case p.found != nil: // while the store has a use for it, only Refresh loads a new one
		w.why, w.reload = rfc9111.ForStale, p.fresh || -left < p.found.Behind || d.NoCache || d.MaxAge == 0
	case d.NoCache || d.MaxAge == 0:
		w.why, w.reload = rfc9111.ForRequest, true
	case p.index != nil:
		w.why = rfc9111.ForVaryMiss
	}
	c.stats.misses.Add(1)
	switch {
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

const acceptEncoding = "Accept-Encoding"

func ranged(r *http.Request) bool { return r.Method == http.MethodGet && len(r.Header["Range"]) > 0 }
