package keys

import (
	"net/http"
	"net/url"
)

// Request returns the key of a request, without its host:
//
//	GET /api/v1/users?skip=0&limit=20    get:/api/v1/users:limit=20&skip=0
//	GET /                                get:/:
//
// The method is in lower case (an empty one means GET). The path is r.URL.EscapedPath, "/" if empty; a path that the client sent with
// unescaped bytes that need escaping differs from the escaped one. The query is sorted by name, unless it has a ';' or an invalid
// escape, which parsers treat differently. All values of a name are kept, in their order, and "a" differs from "a=".
// Escapes are kept: "%41" differs from "A", and %22 from a bare '"', since handlers can tell them apart. Only
// empty parts are dropped. The query has no ':', so that the last one in a key is always the one before it: ':' and other bytes that
// aren't allowed in a query become '!' and two hexadecimal digits.
//
// The key doesn't depend on the scheme, user, fragment, header and body, nor on the host: with several hosts, use [HostRequest].
// Don't use keys of both functions in one cache. r is not modified; r.URL must not be nil.
func Request(r *http.Request) string {
	var space [256]byte
	b := appendMethod(space[:0], r.Method)
	b = append(b, ':')
	b = append(b, path(r.URL)...)
	b = append(b, ':')
	return string(appendQuery(b, r.URL.RawQuery))
}

// HostRequest returns the key of a request like [Request], with its host, which is r.Host, or else r.URL.Host, in lower case:
//
//	get://localhost:8080/api/v1/users:limit=20&skip=0
func HostRequest(r *http.Request) string {
	var space [256]byte
	return string(AppendHostRequest(space[:0], r))
}

// AppendHostRequest appends the key that [HostRequest] returns to dst, and returns the extended slice.
func AppendHostRequest(dst []byte, r *http.Request) []byte {
	b := appendMethod(dst, r.Method)
	b = append(b, "://"...)
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	b = appendHost(b, host)
	p := path(r.URL)
	if p[0] != '/' {
		b = append(b, '|') // separates a path like "*" from the host
	}
	b = append(b, p...)
	b = append(b, ':')
	return appendQuery(b, r.URL.RawQuery)
}

// path returns the path, which is never empty. For an opaque URL ("GET mailto:x HTTP/1.1"), and for a path with unescaped bytes, it
// begins with '|', which no escaped path has. Of the two only the latter continues with an escaped '/'.
func path(u *url.URL) string {
	if u.Opaque != "" {
		return "|" + url.QueryEscape(u.Opaque)
	}
	if u.RawPath == "" && isPlainPath(u.Path) {
		return u.Path
	}
	p := u.EscapedPath()
	if p == "" {
		return "/"
	}
	if u.RawPath != "" && p != u.RawPath {
		if decoded, err := url.PathUnescape(u.RawPath); err == nil && decoded == u.Path { // the client's spelling
			return "|" + url.QueryEscape(u.RawPath)
		}
	}
	return p
}

// isPlainPath reports whether a path is its own escaped form. Most paths are, and it is called for each request.
func isPlainPath(s string) bool {
	for i := range len(s) {
		if !plain[s[i]] && s[i] != '/' {
			return false
		}
	}
	return s != ""
}

// appendMethod appends a method in lower case. Methods are case-sensitive: the letters of "get" are escaped, since it isn't "GET".
func appendMethod(b []byte, method string) []byte {
	if method == "" || method == http.MethodGet {
		return append(b, "get"...)
	}
	for i := range len(method) {
		switch c := method[i]; {
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		case '0' <= c && c <= '9', c == '-', c == '_':
			b = append(b, c)
		default:
			b = appendEscaped(b, c)
		}
	}
	return b
}

// appendHost keeps the bytes of usual hosts and ports, and escapes others: a '/' or '|' always ends the host.
func appendHost(b []byte, host string) []byte {
	n := 0
	for n < len(host) && isHost[host[n]] {
		n++
	}
	b = append(b, host[:n]...) // usually all of it
	for i := n; i < len(host); i++ {
		switch c := host[i]; {
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		case isHost[c]:
			b = append(b, c)
		default:
			b = appendEscaped(b, c)
		}
	}
	return b
}

// isHost has the bytes that need no escape in a host.
var isHost = bytesOf(lower + digits + "-._:[]")

func appendEscaped(b []byte, c byte) []byte {
	return append(b, '%', upperHex[c>>4], upperHex[c&15])
}
