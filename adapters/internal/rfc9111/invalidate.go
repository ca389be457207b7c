package rfc9111

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Safe reports whether a method is known to be safe (RFC 9110 §9.2.1; of the registry's others, those that a client
// sends). A response to any other method may invalidate stored responses.
func Safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "PROPFIND", "QUERY", "REPORT", "SEARCH":
		return true
	}
	return false
}

// Invalidated returns the URLs, besides the target's own, that a response with a status of 2xx or 3xx to an unsafe request
// invalidates (RFC 9111 §4.4): those in Location and Content-Location, as path and query, if they are of the target's
// origin. The Location of a redirection is the next URL to request, not a changed one (RFC 9110 §15.4.4). target is the
// request's URL and host its Host. If target has no scheme, as behind a proxy that terminates TLS, both are accepted.
func Invalidated(target *url.URL, host string, status int, response http.Header) []*url.URL {
	base := *target
	base.Host = host
	var list []*url.URL
	for _, name := range [...]string{"Location", "Content-Location"} {
		if name == "Location" && status >= 300 {
			continue
		}
		for _, line := range response[name] {
			ref, err := base.Parse(trimOWS(line))
			if err != nil || !sameOrigin(&base, ref) {
				continue
			}
			u := &url.URL{Path: ref.Path, RawPath: ref.RawPath, RawQuery: ref.RawQuery, ForceQuery: ref.ForceQuery}
			if u.Path == "" {
				u.Path = "/"
			}
			known := func(v *url.URL) bool { return v.RequestURI() == u.RequestURI() }
			if !known(target) && !slices.ContainsFunc(list, known) {
				list = append(list, u)
			}
		}
	}
	return list
}

// sameOrigin reports whether a reference, resolved against base, is of its origin (RFC 9110 §4.3.1).
func sameOrigin(base, ref *url.URL) bool {
	if ref.Opaque != "" || base.Scheme != "" && ref.Scheme != base.Scheme {
		return false
	}
	switch ref.Scheme {
	case "http", "https", "":
		return hostPort(base.Host, ref.Scheme) == hostPort(ref.Host, ref.Scheme)
	}
	return false
}

// hostPort returns a host in lower case without the default port of its scheme (RFC 9110 §4.2.3).
func hostPort(host, scheme string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":")
}
