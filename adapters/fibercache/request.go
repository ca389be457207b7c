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
		TLS:           c.RequestCtx().TLSConnectionState(),
	}
	if r.TLS == nil && c.Scheme() == "https" {
		u.Scheme = "https" // a trusted proxy says so
	}
	if ctx := c.Context(); ctx != context.Background() {
		r = r.WithContext(ctx)
	}
	return r, nil
}

// contentLength is 0 where there is no body, and -1 where its length isn't known.
func contentLength(in *fasthttp.Request) int64 {
	if n := in.Header.ContentLength(); n >= -1 {
		return int64(n)
	}
	return 0
}
