package httpcache

import (
	"net/http"
	"sync"
	"unsafe"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// plan is how a request is answered.
type plan struct {
	view       requestView
	candidate  candidate
	directives rfc9111.Directives
	action     action
	why        rfc9111.Forward // of a bypass
	reply      Reply           // of a hit
	key        []byte          // memory for the candidate's key
}

var plans = sync.Pool{New: func() any { return &plan{key: make([]byte, 0, maxKey/4)} }}

// release returns the plan to the pool after a hit, of which nothing remains: the store copies the keys that it keeps. Other plans aren't
// used again, since loads may use their keys for longer.
func (p *plan) release() {
	if p.action == actServe && cap(p.key) <= 2*maxKey {
		*p = plan{key: p.key[:0]}
		plans.Put(p)
	}
}

// action is what a plan is to do.
type action int

const (
	actChange          action = iota // run the handler, for a method other than GET and HEAD
	actBypass                        // run the handler without the store
	actNothing                       // the request is answered
	actServe                         // serve the stored response
	actServeAndRefresh               // the same, and renew it
	actForward                       // run the handler, for a response or for the confirmation of the stored one
	actForwardOrStale                // the same; if the handler fails, serve the stored response
)

// plan looks up the stored response, and plans how to answer the exchange. The plan is to be released once it was carried out.
func (c *Cache) plan(x Exchange) (p *plan) {
	p = plans.Get().(*plan)
	p.view, p.directives = c.view(x), rfc9111.NoDirectives
	view, cand := &p.view, &p.candidate
	if view.r.Method != http.MethodGet && view.r.Method != http.MethodHead {
		return p
	}
	if view.has(rfc9111.RelevantDirectives) {
		p.directives = rfc9111.ParseDirectives(view.r.Header)
	}
	// A body has no meaning in a GET (RFC 9110 §9.3.1), but handlers may read it all the same.
	// A handler around the cache that encodes the response would encode a part of the body, which isn't a part of the encoded body.
	coded := view.has(rfc9111.RelevantRange) && len(x.Around("Content-Encoding")) > 0
	if view.r.ContentLength != 0 || view.has(rfc9111.RelevantOrigin) || coded {
		p.action, p.why = actBypass, rfc9111.ForBypass
		return p
	}
	if p.directives.NoStore { // RFC 9111 §5.2.1.5
		p.action, p.why = actBypass, rfc9111.ForRequest
		return p
	}
	view.r = c.options.normalised(view.r)
	if p.key, cand.private = c.keys.appendPrimary(p.key, view.r, isClient(x)); len(p.key) == 0 {
		p.action, p.why = actBypass, rfc9111.ForBypass
		return p
	}
	cand.primary = unsafe.String(unsafe.SliceData(p.key), len(p.key))
	c.decide(p)
	return p
}

// decide looks up the stored response, and decides how to answer.
func (c *Cache) decide(p *plan) {
	view, cand := &p.view, &p.candidate
	if c.serveNested(cand, view) {
		p.action = actNothing
		return
	}
	c.lookup(cand, view)
	if view.has(rfc9111.RelevantRange) && ranged(view.r) && (cand.found == nil || cand.decide(p.directives) != rfc9111.Serve) {
		if part, ok := c.lookupPart(*cand, view); ok && part.decide(p.directives) == rfc9111.Serve {
			*cand = part
		}
	}
	p.action = actForward
	if cand.found == nil {
		return
	}
	switch cand.decide(p.directives) {
	case rfc9111.Serve:
		p.action = actServe
	case rfc9111.ServeAndRefresh:
		p.action = actServeAndRefresh
	case rfc9111.ValidateOrStale:
		p.action = actForwardOrStale
	}
}
