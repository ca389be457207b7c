package fibercache

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
)

var errPath = errors.New("fibercache: the path has several spellings")

// newRequest makes of a request what net/http would have made of it, without the body. All strings are copies.
func newRequest(c fiber.Ctx) (*http.Request, error) {
	in := c.Request()
	uri := in.URI() // with what middleware made of the path
	var space [256]byte
	b := append(space[:0], uri.PathOriginal()...)
	if query := uri.QueryString(); len(query) > 0 {
		b = append(append(b, '?'), query...)
	}
	target := string(b)
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, err
	}
	if u.EscapedPath() != string(uri.PathOriginal()) {
		return nil, errPath // "/a|b" has the key of "/a%7Cb", but Fiber's handlers tell them apart
	}
	r := &http.Request{
		Method:        c.Method(),
		URL:           u,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        requestHeader(&in.Header),
		ContentLength: contentLength(in),
		Host:          strings.Clone(c.Host()), // behind a trusted proxy, what it was asked for
		RequestURI:    target,
	}
	if ctx := c.Context(); ctx != context.Background() {
		r = r.WithContext(ctx)
	}
	return r, nil
}

// requestHeader copies a request's header fields: this is done for each hit, so into few pieces of memory.
func requestHeader(in *fasthttp.RequestHeader) http.Header {
	h := make(http.Header, in.Len())
	lines := make([]string, 0, in.Len())
	var text strings.Builder
	text.Grow(len(in.RawHeaders()))
	for name, value := range in.All() {
		begin := text.Len()
		text.Write(name)
		text.Write(value)
		line := text.String()[begin:]
		key := http.CanonicalHeaderKey(line[:len(name)])
		if h[key] != nil {
			h[key] = append(h[key], line[len(name):])
			continue
		}
		lines = append(lines, line[len(name):])
		n := len(lines)
		h[key] = lines[n-1 : n : n]
	}
	delete(h, "Host") // as in net/http
	return h
}

// contentLength is 0 where there is no body, and -1 where its length isn't known.
func contentLength(in *fasthttp.Request) int64 {
	if n := in.Header.ContentLength(); n >= -1 {
		return int64(n)
	}
	return 0
}
