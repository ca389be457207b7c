package httpcache

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// target returns the request with the client's URL, for the default key, and reports whether handlers around
// the cache have rewritten the URL (as http.StripPrefix does): then the key has both.
//
// ok is false if handlers can tell the request from others with the same key: its target has a fragment, user
// information or another scheme than its connection, or its path has another spelling than the usual one (RFC 3986, section
// 6.2.2). Clients hardly send such targets. They pass uncached, so that a response to one is never served to another.
func target(r *http.Request) (asked *http.Request, rewritten, ok bool) {
	if !rfc9111.UsualPath(r.URL) {
		return nil, false, false
	}
	if r.RequestURI == "" || isTarget(r.URL, r.RequestURI) { // a request for Purge, or a URL that wasn't rewritten
		return withoutPort(r), false, true
	}
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || strings.IndexByte(r.RequestURI, '#') >= 0 || u.User != nil || u.Opaque != "" || !rfc9111.UsualPath(u) {
		return nil, false, false
	}
	if u.Scheme != "" && ((u.Scheme == "https") != (r.TLS != nil) || !strings.EqualFold(u.Host, r.Host)) {
		return nil, false, false // the absolute form (RFC 9112, section 3.2.2)
	}
	u.Scheme, u.Host = r.URL.Scheme, ""
	asked = r.WithContext(r.Context())
	asked.URL = u
	return withoutPort(asked), rewrites(u, r.URL), true
}

// rewrites reports whether a URL has another path or query than the client's.
func rewrites(asked, now *url.URL) bool {
	return asked.EscapedPath() != now.EscapedPath() || asked.RawQuery != now.RawQuery
}

// isRewritten reports whether handlers around the cache have rewritten the request's URL.
func isRewritten(r *http.Request) bool { return rewrites(askedURL(r), r.URL) }

// isAbsolute reports whether a request's target is in the absolute form (RFC 9112, section 3.2.2), which handlers can tell from
// the usual one.
func isAbsolute(r *http.Request) bool { return r.RequestURI != "" && r.RequestURI[0] != '/' }

// absoluteURI returns the absolute form of a target in the usual form.
func absoluteURI(r *http.Request) string {
	scheme := "http://"
	if secure(r) {
		scheme = "https://"
	}
	return scheme + r.Host + r.URL.RequestURI()
}

// askedURL returns the client's URL, which is the base of the response's references.
func askedURL(r *http.Request) *url.URL {
	if r.RequestURI == "" || isTarget(r.URL, r.RequestURI) {
		return r.URL
	}
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || u.Opaque != "" {
		return r.URL
	}
	u.Scheme = r.URL.Scheme
	return u
}

// isTarget reports whether a URL is the request's target.
func isTarget(u *url.URL, target string) bool {
	if u.Scheme == "" && u.RawPath == "" && isUnchanged(u, target) {
		return true
	}
	return strings.IndexByte(target, '#') < 0 && u.RequestURI() == target && u.User == nil
}

// isUnchanged reports whether a target consists of a URL's path and query, as most do.
func isUnchanged(u *url.URL, target string) bool {
	n := len(u.Path)
	if len(target) < n || target[:n] != u.Path || strings.IndexByte(u.Path, '?') >= 0 {
		return false
	}
	rest := target[n:]
	return rest == "" && u.RawQuery == "" || rest != "" && rest[0] == '?' && rest[1:] == u.RawQuery && strings.IndexByte(rest, '#') < 0
}

func secure(r *http.Request) bool { return r.TLS != nil || r.URL.Scheme == "https" }

// withoutPort returns the request without the default port of its scheme (RFC 9110, section 4.2.3).
func withoutPort(r *http.Request) *http.Request {
	port := ":80"
	if secure(r) {
		port = ":443"
	}
	host, ok := strings.CutSuffix(r.Host, port)
	if !ok {
		return r
	}
	r = r.WithContext(r.Context())
	r.Host = host
	return r
}
