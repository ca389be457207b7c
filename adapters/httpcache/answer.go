package httpcache

import (
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Answer answers one exchange from the store, or by running the handler. It returns when the response is complete, and
// panics if the handler does.
func (c *Cache) Answer(x Exchange) {
	p := plans.Get().(*plan)
	c.answer(x, p)
	p.release() // not after a panic, when it may still be in use
}

func (c *Cache) answer(x Exchange, p *plan) {
	c.plan(x, p)
	c.carryOut(p)
}

// carryOut answers the exchange as planned.
func (c *Cache) carryOut(p *plan) {
	view, cand := &p.view, &p.candidate
	switch p.action {
	case actChange:
		c.stats.bypassed.Add(1)
		c.change(view.x, view.request())
	case actBypass:
		c.bypass(view.x, p.why)
	case actServe:
		c.hit(p)
	case actServeAndRefresh:
		c.serveStale(p)
	case actForward, actForwardOrStale:
		c.forward(view, cand, p.directives, p.action == actForwardOrStale)
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
