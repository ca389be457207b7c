package rfc9111

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// Rules has the options that let a cache store more responses.
type Rules struct {
	SetCookie bool // responses with Set-Cookie like any other; otherwise only with public or s-maxage
	Private   bool // this response is stored for one user only
	Kind      Kind
}

// Storable reports whether a cache may store a response to a GET (RFC 9111 §3), and if not,
// why. It doesn't depend on how long the response is fresh, or whether it says so: see [TermsOf].
func Storable(request http.Header, status int, response http.Header, rules Rules) (ok bool, why string) {
	cc, _ := Control(response, rules.Kind)
	why = cmp.Or(badStatus(status, response, cc), forbidden(request, response, cc, rules), unsafe(response, cc, rules))
	return why == "", why
}

// badStatus returns why a response with its status code can't be stored; "" if it can.
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

// forbidden returns the directive that forbids to store a response.
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

// unsafe returns another reason not to store a response in a shared cache, though the RFC would allow it.
func unsafe(response http.Header, cc CacheControl, rules Rules) string {
	switch {
	case !Canonical(response):
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

// understood reports whether this cache implements the requirements of a status code: those of RFC 9110 §15.
func understood(status int) bool {
	switch {
	case 200 <= status && status <= 206, 300 <= status && status <= 305, status == 307, status == 308,
		400 <= status && status <= 417, status == 421, status == 422, status == 426, 500 <= status && status <= 505:
		return true
	}
	return false
}
