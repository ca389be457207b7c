package httpcache

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Transport returns an http.RoundTripper for an [http.Client], which answers requests from the cache if possible, and otherwise with
// the responses of next. If next is nil it is http.DefaultTransport. Any number of transports may share a cache, if no two of them get
// different responses to the same request, and handlers may use the same cache.
//
// A client's cache is usually a private one: with [Options].Private, responses with private and responses to requests with
// credentials are stored, for requests with the same credentials. Without it the cache has the rules of a shared one.
//
// A response of next only gets a Cache-Status, and a Date if it has none. One response may be for several callers. A caller whose
// context ends gets its cause at once, and the request to the origin goes on as long as others wait. If a caller closes a body before its
// end, a response that can be stored is still read, for 30 seconds at most. An error of next is returned as it is, to all callers
// that waited for that request; but if a response is stored that may be served after a failure, that is returned.
func (c *Cache) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{cache: c, next: next}
}

type transport struct {
	cache *Cache
	next  http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil || r.Header == nil {
		return t.next.RoundTrip(r) // it has an error for that
	}
	x := &roundTrip{cache: t.cache, next: t.next, original: r, request: asServed(r)}
	if !usual(r) && rfc9111.Safe(x.request.Method) {
		t.cache.bypass(x, rfc9111.ForBypass)
		return x.response, x.err
	}
	if _, ok := r.Context().Value(runKey{}).(*backgroundRun); ok { // of a Handler around this client: it isn't to be recorded here
		x.request = x.request.WithContext(context.WithValue(r.Context(), runKey{}, (*run)(nil)))
	}
	p := plans.Get().(*plan)
	t.cache.plan(x, p)
	switch p.action {
	case actForward, actForwardOrStale:
		return x.runInBackground(p)
	case actChange:
		if t.cache.options.StorePosts {
			return x.runInBackground(p)
		}
	case actServe, actServeAndRefresh:
		if r.Context().Err() != nil {
			return nil, context.Cause(r.Context())
		}
		if p.action == actServeAndRefresh && t.cache.unreached.has(p.candidate.key) {
			return x.runInBackground(p)
		}
	}
	t.cache.carryOut(p)
	p.release()
	return x.response, x.err
}

// CloseIdleConnections is called by that method of http.Client.
func (t *transport) CloseIdleConnections() {
	if next, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// asServed returns a client's request as a server gets it, which is the form that the rules and the keys are for.
func asServed(r *http.Request) *http.Request {
	unknownLength := r.ContentLength == 0 && r.Body != nil && r.Body != http.NoBody
	if r.Method != "" && r.Host != "" && r.RequestURI == "" && r.TLS == nil && !unknownLength {
		return r
	}
	r = r.WithContext(r.Context())
	r.Method, r.Host = cmp.Or(r.Method, http.MethodGet), cmp.Or(r.Host, r.URL.Host)
	r.RequestURI, r.TLS = "", nil // a proxy forwards them, but they aren't the target and the connection of this request
	if unknownLength {
		r.ContentLength = -1
	}
	return r
}

// usual reports whether the request's URL is all that its response depends on, besides header fields that the rules can see.
func usual(r *http.Request) bool {
	return (r.URL.Scheme == "http" || r.URL.Scheme == "https") && r.URL.Opaque == "" && r.URL.Host != "" &&
		(r.Host == "" || strings.EqualFold(r.Host, r.URL.Host)) && rfc9111.Canonical(r.Header)
}
