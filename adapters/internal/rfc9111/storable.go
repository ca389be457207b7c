package rfc9111

import (
	"net/http"
	"strings"
)

// Storable answers whether a shared cache may store a response (RFC 9111 §3), and if not, why in a few words. It
// doesn't ask how long the response is fresh: see [Lifetime].
//
// It allows less than the RFC does. A response is stored if it is a 200 to a GET, and a Set-Cookie or a Vary, which
// need more care than a yes or no, keep it out. So does a field whose name isn't canonical.
func Storable(method string, request http.Header, status int, response http.Header) (ok bool, why string) {
	switch {
	case method != http.MethodGet:
		return false, "method"
	case len(request["Authorization"]) > 0: // §3.5
		return false, "authorization"
	case ParseCacheControl(request["Cache-Control"]).Has("no-store"): // §5.2.1.5
		return false, "request no-store"
	case status != http.StatusOK:
		return false, "status"
	case !canonical(response):
		return false, "field name"
	case len(response["Set-Cookie"]) > 0: // §7.3
		return false, "set-cookie"
	case len(response["Vary"]) > 0: // §4.1
		return false, "vary"
	case eventStream(response): // has no end
		return false, "event stream"
	}
	cc := ParseCacheControl(response["Cache-Control"])
	// no-cache and private also have a form that names fields (§5.2.2.4, §5.2.2.7). To take it for the one
	// without, which forbids more, is allowed.
	for _, directive := range [...]string{"no-store", "private", "no-cache"} {
		if cc.Has(directive) {
			return false, directive
		}
	}
	return true, ""
}

func eventStream(h http.Header) bool {
	for _, line := range h["Content-Type"] {
		mediaType, _, _ := strings.Cut(line, ";")
		if strings.EqualFold(trimOWS(mediaType), "text/event-stream") {
			return true
		}
	}
	return false
}
