package rfc9111

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// Rules are what options let a cache store beyond the safe.
type Rules struct {
	SetCookie bool // responses with Set-Cookie as any other; else only with public or s-maxage
	Private   bool // what is stored is for one user alone (§1: a private cache): nothing is kept from others
}

// Storable reports whether a cache, a shared one unless the rules say else, may store a response to a GET (RFC 9111 §3), and if not, why in a few
// words. It doesn't ask how long the response is fresh, or whether it says so: see [TermsOf].
func Storable(request http.Header, status int, response http.Header, rules Rules) (ok bool, why string) {
	cc, _ := Control(response)
	why = cmp.Or(badStatus(status, response, cc), forbidden(request, response, cc, rules), unsafe(response, cc, rules))
	return why == "", why
}

// badStatus is why a response can't be stored by its status code; "" if it can.
func badStatus(status int, response http.Header, cc CacheControl) string {
	switch {
	case status < 200 || status > 599: // not final, or none at all (RFC 9110 §15)
		return "status"
	case status == http.StatusNotModified, status == http.StatusRequestedRangeNotSatisfiable: // about one request's fields
		return "status"
	case cc.Has("must-understand") && !understood(status): // §5.2.2.3
		return "must-understand"
	case status == http.StatusPartialContent:
		if _, _, ok := ParseContentRange(response["Content-Range"]); !ok || hasType(response, "multipart/byteranges") {
			return "content-range" // §3.3
		}
	}
	return ""
}

// forbidden is the directive that forbids to store a response.
func forbidden(request, response http.Header, cc CacheControl, rules Rules) string {
	switch {
	case ParseDirectives(request).NoStore: // §5.2.1.5
		return "request no-store"
	case cc.Has("no-store") && !cc.Has("must-understand"): // §5.2.2.5, §5.2.2.3
		return "no-store"
	case !rules.Private && cc.whole("private"): // §5.2.2.7
		return "private"
	case !rules.Private && len(request["Authorization"]) > 0 && !sharedBy(cc): // §3.5
		return "authorization"
	}
	if _, any := Vary(response); any { // §4.1: no request would match
		return "vary"
	}
	return ""
}

// unsafe is what else keeps a response out of a shared cache, though the RFC would allow it.
func unsafe(response http.Header, cc CacheControl, rules Rules) string {
	switch {
	case !canonical(response):
		return "field name"
	case hasType(response, "text/event-stream"): // has no end
		return "event stream"
	case len(response["Set-Cookie"]) == 0 || rules.SetCookie || rules.Private || cc.Has("public") || cc.Has("s-maxage"):
		return ""
	case slices.Contains(cc.fields(), "Set-Cookie"): // isn't stored
		return ""
	}
	return "set-cookie" // §7.3
}

func hasType(h http.Header, mediaType string) bool {
	for _, line := range h["Content-Type"] {
		value, _, _ := strings.Cut(line, ";")
		if strings.EqualFold(trimOWS(value), mediaType) {
			return true
		}
	}
	return false
}

// understood reports whether what a status code asks of a cache is known and done here: those of RFC 9110 §15.
func understood(status int) bool {
	switch {
	case 200 <= status && status <= 206, 300 <= status && status <= 305, status == 307, status == 308,
		400 <= status && status <= 417, status == 421, status == 422, status == 426, 500 <= status && status <= 505:
		return true
	}
	return false
}
