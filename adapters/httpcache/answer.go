package httpcache

import (
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Answer answers one exchange from the store, or by running the handler. It returns when the response is complete, and
// panics if the handler does.
func (c *Cache) Answer(x Exchange) {
	view := c.view(x)
	if view.r.Method != http.MethodGet && view.r.Method != http.MethodHead {
		c.stats.bypassed.Add(1)
		c.change(x, view.request())
		return
	}
	d := rfc9111.NoDirectives
	if view.has(rfc9111.RelevantDirectives) {
		d = rfc9111.ParseDirectives(view.r.Header)
	}
	// A body has no meaning in a GET (RFC 9110 §9.3.1), but handlers may read it all the same.
	// A handler around the cache that encodes the response would encode a part of the body, which isn't a part of the encoded body.
	coded := view.has(rfc9111.RelevantRange) && len(x.Around("Content-Encoding")) > 0
	if view.r.ContentLength != 0 || view.has(rfc9111.RelevantOrigin) || coded {
		c.bypass(x, rfc9111.ForBypass)
		return
	}
	if d.NoStore { // RFC 9111 §5.2.1.5
		c.bypass(x, rfc9111.ForRequest)
		return
	}
	view.r = c.options.normalised(view.r)
	var cand candidate
	if cand.primary, cand.private = c.keys.primary(view.r); cand.primary == "" {
		c.bypass(x, rfc9111.ForBypass)
		return
	}
	if c.serveNested(&cand, &view) {
		return
	}
	c.lookup(&cand, &view)
	if view.has(rfc9111.RelevantRange) && ranged(view.r) && (cand.found == nil || cand.decide(d) != rfc9111.Serve) {
		if part, ok := c.lookupPart(cand, &view); ok && part.decide(d) == rfc9111.Serve {
			cand = part
		}
	}
	if cand.found == nil {
		c.forward(&view, &cand, d, false)
		return
	}
	switch cand.decide(d) {
	case rfc9111.Serve:
		c.hit(&view, &cand)
	case rfc9111.ServeAndRefresh:
		c.serveStale(&view, &cand, d)
	case rfc9111.Validate:
		c.forward(&view, &cand, d, false)
	case rfc9111.ValidateOrStale:
		c.forward(&view, &cand, d, true)
	}
}

// forward runs the handler, because there is no stored response or it can't be served as it is. stale: it may be served if the handler
// fails.
func (c *Cache) forward(view *requestView, cand *candidate, d rfc9111.Directives, stale bool) {
	x, r := view.x, view.request()
	if d.OnlyIfCached { // RFC 9111 §5.2.1.7
		c.stats.misses.Add(1)
		x.Serve(c.gatewayTimeout(r))
		return
	}
	m := &missRequest{candidate: *cand, flightKey: cand.key, request: r, directives: d, mayServeStale: stale, forward: rfc9111.ForMiss}
	switch left := cand.freshFor(); {
	case cand.found != nil && left > 0:
		m.forward, m.reload = rfc9111.ForRequest, true
	case cand.found != nil: // while the store has it, only Refresh loads a new one
		m.forward = rfc9111.ForStale
		m.reload = !cand.softPurged && (cand.freshInStore || -left < cand.found.StaleWhileRevalidate) || d.NoCache || d.MaxAge == 0
	case d.NoCache || d.MaxAge == 0:
		m.forward, m.reload = rfc9111.ForRequest, true
	case cand.index != nil, cand.rejected:
		m.forward = rfc9111.ForVaryMiss
	}
	c.stats.misses.Add(1)
	m.reload = m.reload || cand.found == nil && cand.rejected // otherwise the store would return that
	switch {
	case cand.found == nil && cand.forbidden:
		x.Run(&Recording{status: rfc9111.Status{Cache: c.options.Name, Forward: rfc9111.ForBypass, Detail: "around"}})
	case r.Method == http.MethodHead && stale:
		rec := c.watchHead(m)
		if x.Run(rec); rec.reply != nil {
			x.Serve(rec.reply)
		}
	case r.Method == http.MethodHead, cand.needsShared(r) && cand.found == nil && c.hitForMiss.has(cand.key):
		c.pass(x, m.forward)
	case ranged(r) && cand.found == nil:
		m.reload, m.flightKey = true, partKey(cand.key) // requests don't wait for a part
		c.miss(x, m)
	default:
		m.reload = m.reload || cand.hitForMiss // requests don't wait for a response that probably isn't stored
		c.miss(x, m)
	}
}

// bypass runs the handler for a request that the cache doesn't handle.
func (c *Cache) bypass(x Exchange, why rfc9111.Forward) {
	c.stats.bypassed.Add(1)
	c.pass(x, why)
}
