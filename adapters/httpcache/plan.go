package httpcache

import (
	"net/http"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// plan is how a request is answered.
type plan struct {
	view       requestView
	candidate  candidate
	directives rfc9111.Directives
	action     action
	why        rfc9111.Forward          // of a bypass
	reply      Reply                    // of a hit
	key        []byte                   // memory for the candidate's key
	slot       *atomic.Pointer[madeKey] // where to remember the key after a hit; nil: nowhere
}

var plans = sync.Pool{New: func() any { return &plan{key: newKeyMemory()} }}

func newKeyMemory() []byte { return make([]byte, 0, maxKey/4) }

// reset reports whether the plan can be used again: after a hit, of which nothing remains, since the store copies the keys that it keeps.
// The loads of others may use their keys for longer.
func (p *plan) reset() bool {
	if p.action != actServe || cap(p.key) > 2*maxKey {
		return false
	}
	*p = plan{key: p.key[:0]}
	return true
}

// release returns a plan of the pool to it, if it can be used again.
func (p *plan) release() {
	if p.reset() {
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

// plan looks up the stored response, and plans how to answer the exchange. p is new, or was reset.
func (c *Cache) plan(x Exchange, p *plan) {
	view, cand := &p.view, &p.candidate
	c.begin(view, x)
	p.directives = rfc9111.NoDirectives
	if view.r.Method != http.MethodGet && view.r.Method != http.MethodHead {
		return
	}
	if view.has(rfc9111.RelevantDirectives) {
		p.directives = rfc9111.ParseDirectives(view.r.Header)
	}
	// A body has no meaning in a GET (RFC 9110 §9.3.1), but handlers may read it all the same.
	// A handler around the cache that encodes the response would encode a part of the body, which isn't a part of the encoded body.
	coded := view.has(rfc9111.RelevantRange) && len(x.Around("Content-Encoding")) > 0
	if view.r.ContentLength != 0 || view.has(rfc9111.RelevantOrigin) || coded {
		p.action, p.why = actBypass, rfc9111.ForBypass
		return
	}
	if p.directives.NoStore { // RFC 9111 §5.2.1.5
		p.action, p.why = actBypass, rfc9111.ForRequest
		return
	}
	view.r = c.options.normalised(view.r)
	if !c.setKey(p) {
		p.action, p.why = actBypass, rfc9111.ForBypass
		return
	}
	target := view.r.RequestURI // after a preview, the whole request has another one
	if c.decide(p); p.action == actServe && p.slot != nil {
		c.keys.made.remember(p.slot, view.r, target, cand.primary)
	}
}

// setKey sets the candidate's primary key, and reports whether the request has one.
func (c *Cache) setKey(p *plan) bool {
	view, cand := &p.view, &p.candidate
	client := isClient(view.x)
	if !client {
		p.slot = c.keys.made.slot(view.r)
	}
	if p.slot != nil {
		if made := p.slot.Load(); made.isFor(view.r) {
			cand.primary, p.slot = made.key, nil
			return true
		}
	}
	p.key, cand.private = c.keys.appendPrimary(p.key, view.r, client)
	cand.primary = unsafe.String(unsafe.SliceData(p.key), len(p.key))
	return len(p.key) > 0
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
