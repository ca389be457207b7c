package fasthttpcache

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

var (
	errPath   = errors.New("fasthttpcache: the path has several spellings")
	errTarget = errors.New("fasthttpcache: handlers don't see the whole target or host")
)

// preview makes a request with the parts of the Call's request that most hits need, without copies. It returns false if the target needs
// parsing.
func (x *exchange[C]) preview() bool {
	in := &x.c.RequestCtx().Request
	uri := in.URI() // with the path as middleware may have rewritten it
	path, query := viewString(uri.PathOriginal()), viewString(uri.QueryString())
	if !unescaped(path) || hasControl(query) || !isTarget(viewString(in.Header.RequestURI()), path, query) || !sameHost(in) {
		return false
	}
	x.url = url.URL{Path: path, RawQuery: query}
	if x.c.Scheme() == "https" { // the connection's, or that of a trusted proxy
		x.url.Scheme = "https"
	}
	x.request.Method, x.request.URL, x.request.Host = x.method(), &x.url, x.c.Host()
	x.request.ContentLength = contentLength(in)
	for name, value := range in.Header.All() {
		if key := httpcache.RelevantField(viewString(name)); key != "" {
			x.add(key, viewString(value))
		}
	}
	x.request.Header = x.fields
	return true
}

// method returns the method, which isn't in fasthttp's memory.
func (x *exchange[C]) method() string {
	method := x.f.method(x.c)
	for _, known := range methods {
		if method == known {
			return known
		}
	}
	return strings.Clone(method)
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions,
	http.MethodConnect, http.MethodTrace,
}

// isTarget reports whether a request's target consists of the path and the query. Otherwise middleware has rewritten the path, or the
// target also has a fragment or a host.
func isTarget(target, path, query string) bool {
	rest, ok := strings.CutPrefix(target, path)
	if !ok || rest == "" {
		return ok && query == ""
	}
	return rest[0] == '?' && rest[1:] == query
}

// sameHost reports whether the request is for the host in its Host field. fasthttp removes user information.
func sameHost(in *fasthttp.Request) bool {
	asked, host := viewString(in.Header.Host()), viewString(in.URI().Host())
	return asked == host || strings.EqualFold(asked, host)
}

// parse makes the request that net/http would have made of the Call's, without the body. All strings are copies, in
// few allocations, since this is done for hits, too.
func (x *exchange[C]) parse() error {
	in := &x.c.RequestCtx().Request
	uri := in.URI() // with the path as middleware may have rewritten it
	path, query, host := uri.PathOriginal(), uri.QueryString(), x.c.Host()
	asked, _, fragment := bytes.Cut(in.Header.RequestURI(), []byte{'#'})
	if method := x.method(); (method == http.MethodGet || method == http.MethodHead) && (fragment || !sameHost(in)) {
		return errTarget
	}

	var text strings.Builder
	text.Grow(len(path) + 1 + len(query) + len(host) + len(asked) + len(in.Header.RawHeaders()))
	text.Write(path)
	if len(query) > 0 {
		text.WriteByte('?')
		text.Write(query)
	}
	target := text.String()
	text.WriteString(host)
	host = text.String()[len(target):] // behind a trusted proxy, the host that it received
	uriAsked := target
	if !isTarget(viewString(asked), viewString(path), viewString(query)) { // middleware has rewritten it, or it is in the absolute form
		text.Write(asked)
		uriAsked = text.String()[len(target)+len(host):]
	}

	if err := parseTarget(&x.url, target, len(path)); err != nil {
		return err
	}
	if x.url.EscapedPath() != target[:len(path)] {
		return errPath // "/a|b" has the key of "/a%7Cb", but fasthttp's handlers tell them apart
	}
	x.readHeader(&in.Header, &text)
	x.request = http.Request{
		Method:        x.method(),
		URL:           &x.url,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        x.fields,
		ContentLength: contentLength(in),
		Host:          host,
		RequestURI:    uriAsked,
		TLS:           x.c.RequestCtx().TLSConnectionState(),
	}
	if x.request.TLS == nil && x.c.Scheme() == "https" {
		x.url.Scheme = "https" // according to a trusted proxy
	}
	x.r = &x.request
	if ctx := x.c.Context(); ctx != context.Background() {
		x.r = x.r.WithContext(ctx)
	}
	return nil
}

// readHeader copies a request's header fields.
func (x *exchange[C]) readHeader(in *fasthttp.RequestHeader, text *strings.Builder) {
	clear(x.fields) // of a preview
	x.lines = slices.Grow(x.lines[:0], in.Len())
	for name, value := range in.All() {
		begin := text.Len()
		text.Write(name)
		text.Write(value)
		line := text.String()[begin:]
		x.add(http.CanonicalHeaderKey(line[:len(name)]), line[len(name):])
	}
	delete(x.fields, "Host") // as in net/http
}

// add adds a line of a field.
func (x *exchange[C]) add(key, value string) {
	if lines := x.fields[key]; lines != nil {
		x.fields[key] = append(lines, value)
		return
	}
	if x.fields == nil {
		x.fields = make(http.Header)
	}
	x.lines = append(x.lines, value)
	n := len(x.lines)
	x.fields[key] = x.lines[n-1 : n : n]
}

// parseTarget is url.ParseRequestURI with a shortcut for most targets: a path and a query without escapes.
func parseTarget(u *url.URL, target string, path int) error {
	if unescaped(target[:path]) && !hasControl(target) {
		*u = url.URL{Path: target[:path]}
		if path < len(target) {
			u.RawQuery = target[path+1:]
		}
		return nil
	}
	parsed, err := url.ParseRequestURI(target)
	if err == nil {
		*u = *parsed
	}
	return err
}

// unescaped reports whether a path is the same before and after unescaping.
func unescaped(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := range len(path) {
		if !unescapedBytes[path[i]] {
			return false
		}
	}
	return true
}

var unescapedBytes = func() (table [256]bool) {
	for c := range table {
		switch c := byte(c); {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("/-_.~", c) >= 0:
			table[c] = true
		}
	}
	return table
}()

func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// contentLength returns 0 if there is no body, and -1 if its length isn't known.
func contentLength(in *fasthttp.Request) int64 {
	if n := in.Header.ContentLength(); n >= -1 {
		return int64(n)
	}
	return 0
}
