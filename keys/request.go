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
// The method is in lower case (none means GET). The path is r.URL.EscapedPath, "/" if empty; one that the client sent with
// bytes that have to be escaped there differs from the escaped one. The query is sorted by name, unless it has a ';' or a broken
// escape, of which parsers make different things. Values of one name all count, in their order, and "a" differs from "a=".
// Escapes count as they were sent: "%41" differs from "A", and %22 from a bare '"', for handlers can tell them apart. Nothing but
// empty parts is dropped. The query has no ':', so that the last one in a key always comes before it: '!' and two
// hexadecimal digits stand for it, and for what else has no place in a query.
//
// The scheme, user, fragment, header and body don't count. Nor does the host: behind several hosts, use [HostRequest].
// Keys of the two functions don't belong in one cache. r is not modified; r.URL must not be nil.
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
	b := appendMethod(space[:0], r.Method)
	b = append(b, "://"...)
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	b = appendHost(b, host)
	p := path(r.URL)
	if p[0] != '/' {
		b = append(b, '|') // a path like "*" must not run into the host
	}
	b = append(b, p...)
	b = append(b, ':')
	return string(appendQuery(b, r.URL.RawQuery))
}

// path is never empty. An opaque URL ("GET mailto:x HTTP/1.1") has no path; a '|' is in no escaped path. What follows it
// begins with an escaped '/' only for a path.
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
		if decoded, err := url.PathUnescape(u.RawPath); err == nil && decoded == u.Path { // as the client sent it
			return "|" + url.QueryEscape(u.RawPath)
		}
	}
	return p
}

// isPlainPath reports whether a path is its own escaped form. Most are, and this is done for each request.
func isPlainPath(s string) bool {
	for i := range len(s) {
		if !plain[s[i]] && s[i] != '/' {
			return false
		}
	}
	return s != ""
}

// appendMethod puts a method in lower case. Methods are case-sensitive: the letters of "get" are escaped, for it isn't "GET".
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

// appendHost leaves what hosts and ports are made of, and escapes the rest: a '/' or '|' always ends the host.
func appendHost(b []byte, host string) []byte {
	n := 0
	for n < len(host) && isHost[host[n]] {
		n++
	}
	b = append(b, host[:n]...) // mostly that is all
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

// isHost are the bytes that stand for themselves in a host.
var isHost = bytesOf(lower + digits + "-._:[]")

func appendEscaped(b []byte, c byte) []byte {
	return append(b, '%', upperHex[c>>4], upperHex[c&15])
}
