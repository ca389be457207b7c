package httpcache

import (
	"context"
	"net/http"
	"net/url"
	"unsafe"
)

// PreviewHandler is Handler with an Exchange whose previews are overwritten as soon as they may be.
func (c *Cache) PreviewHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &previewing{exchange: &exchange{cache: c, w: w, r: r, next: next}}
		defer x.overwrite()
		c.Answer(x)
	})
}

type previewing struct {
	*exchange
	memory [][]byte
}

func (x *previewing) Preview() (*http.Request, context.Context) {
	r := x.r
	g := &http.Request{
		Method: r.Method, Host: x.lend(r.Host), ContentLength: r.ContentLength, Header: make(http.Header),
		URL: &url.URL{Scheme: r.URL.Scheme, Path: x.lend(r.URL.Path), RawPath: x.lend(r.URL.RawPath), RawQuery: x.lend(r.URL.RawQuery)},
	}
	for name, lines := range r.Header {
		if RelevantField(name) == "" {
			continue
		}
		for _, line := range lines {
			g.Header[name] = append(g.Header[name], x.lend(line))
		}
	}
	return g, r.Context()
}

func (x *previewing) Request() *http.Request {
	x.overwrite()
	return x.exchange.Request()
}

func (x *previewing) Run(rec *Recording) {
	x.overwrite()
	x.exchange.Run(rec)
}

func (x *previewing) Detach() Exchange {
	x.overwrite()
	return x.exchange.Detach()
}

// lend returns a string that is good until overwrite is called.
func (x *previewing) lend(s string) string {
	b := []byte(s)
	x.memory = append(x.memory, b)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

func (x *previewing) overwrite() {
	for _, b := range x.memory {
		for i := range b {
			b[i] = '?'
		}
	}
	x.memory = nil
}
