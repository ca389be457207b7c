package httpcache

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// target returns the request with the URL that its client asked for, as the default key has it, and reports whether handlers around
// the cache have rewritten that (http.StripPrefix does, too): then the key has both.
//
// ok is false where handlers can tell the request from others with the same key: its target has a fragment, user
// information or another scheme than its connection, or its path has another spelling than the usual one (RFC 3986, section
// 6.2.2). Clients hardly send such targets. They pass uncached, so that nothing that is made for one answers another.
func target(r *http.Request) (asked *http.Request, rewritten, ok bool) {
	if !rfc9111.UsualPath(r.URL) {
		return nil, false, false
	}
	if r.RequestURI == "" || isTarget(r.URL, r.RequestURI) { // a request to Purge, or as it came
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

// rewrites reports whether a URL has another path or query than the one that was asked for.
func rewrites(asked, now *url.URL) bool {
	return asked.EscapedPath() != now.EscapedPath() || asked.RawQuery != now.RawQuery
}

// isRewritten reports whether handlers around the cache have rewritten the request's URL.
func isRewritten(r *http.Request) bool { return rewrites(askedURL(r), r.URL) }

// isAbsolute reports whether a request's target is in the absolute form (RFC 9112, section 3.2.2), which handlers can tell from
// the usual one.
func isAbsolute(r *http.Request) bool { return r.RequestURI != "" && r.RequestURI[0] != '/' }

// spellings returns requests for what r's client asked for, one for each usual spelling of the URL, in either form of a target.
func (c *Cache) spellings(r *http.Request) []*http.Request {
	if !c.options.defaultKey || r.URL.Opaque != "" {
		return []*http.Request{r}
	}
	asked := askedURL(r)
	schemes := []string{r.URL.Scheme}
	if r.TLS == nil && strings.HasPrefix(r.RequestURI, "https:") { // the absolute form on a connection without TLS
		schemes = append(schemes, "")
	}
	var list []*http.Request
	for _, path := range rfc9111.Spellings(asked.EscapedPath()) {
		for _, scheme := range schemes {
			other := r.WithContext(r.Context())
			other.URL = &url.URL{Scheme: scheme, Path: asked.Path, RawPath: path, RawQuery: asked.RawQuery}
			other.RequestURI = ""
			absolute := other.WithContext(r.Context())
			absolute.RequestURI = absoluteURI(other)
			list = append(list, other, absolute)
		}
	}
	return list
}

// absoluteURI is the absolute form of the target of a request that has the usual one.
func absoluteURI(r *http.Request) string {
	scheme := "http://"
	if secure(r) {
		scheme = "https://"
	}
	return scheme + r.Host + r.URL.RequestURI()
}

// askedURL is the URL that the client asked for, to which the response's references are relative.
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

// isTarget reports whether a URL is a request's target as it came, which most are.
func isTarget(u *url.URL, target string) bool {
	path, query, _ := strings.Cut(target, "?")
	if u.Scheme == "" && u.RawPath == "" && u.Path == path && u.RawQuery == query {
		return strings.IndexByte(query, '#') < 0
	}
	return strings.IndexByte(target, '#') < 0 && u.RequestURI() == target && u.User == nil
}

// withoutPort returns the request without the port that its scheme has anyway (RFC 9110, section 4.2.3).
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
