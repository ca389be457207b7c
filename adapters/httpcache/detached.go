package httpcache

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Detach makes a new request from what the client sent. Data of handlers around the cache in the request's context may be
// reused for other requests as soon as this one is answered: chi and echo pool theirs. So the copy has none of it, and
// passes through those handlers once more.
func (x *exchange) Detach() Exchange {
	outermost, ctx := x.outermost()
	if outermost == nil || x.r.RequestURI == "" { // a request without a target isn't from a server
		return nil
	}
	target, err := url.ParseRequestURI(x.r.RequestURI)
	if err != nil {
		return nil
	}
	r := (&http.Request{
		Method: http.MethodGet, URL: target, RequestURI: x.r.RequestURI, Host: x.r.Host,
		Proto: x.r.Proto, ProtoMajor: x.r.ProtoMajor, ProtoMinor: x.r.ProtoMinor,
		Header: x.r.Header.Clone(), Body: http.NoBody, RemoteAddr: x.r.RemoteAddr, TLS: x.r.TLS,
	}).WithContext(ctx)
	for _, name := range []string{"Expect", "Http2-Settings", "Upgrade"} { // the copy has no connection
		delete(r.Header, name)
	}
	return &detached{r: r, outermost: outermost}
}

// outermost returns the handler that the server calls first, with the context that the server makes for a request; nil if it isn't
// known.
func (x *exchange) outermost() (http.Handler, context.Context) {
	ctx := x.r.Context()
	server, _ := serverOf(ctx).(*http.Server)
	local := ctx.Value(http.LocalAddrContextKey)
	ctx = context.Background()
	if server != nil {
		ctx = context.WithValue(ctx, http.ServerContextKey, server)
	}
	if local != nil {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, local)
	}
	switch {
	case x.cache.options.Outermost != nil:
		return x.cache.options.Outermost, ctx
	case server == nil, server.BaseContext != nil, server.ConnContext != nil: // handlers may need their values
		return nil, nil
	case server.Handler == nil:
		return http.DefaultServeMux, ctx
	}
	return server.Handler, ctx
}

// detached is the Exchange of a background run.
type detached struct {
	r         *http.Request
	outermost http.Handler
}

func (d *detached) Request() *http.Request { return d.r }

// Around isn't called.
func (d *detached) Around(string) []string { return nil }

// Serve isn't called.
func (d *detached) Serve(*Reply) {}

func (d *detached) Run(rec *Recording) {
	ctx := rec.Context(d.r.Context())
	for _, key := range []any{http.ServerContextKey, http.LocalAddrContextKey} {
		if v := d.r.Context().Value(key); v != nil {
			ctx = context.WithValue(ctx, key, v)
		}
	}
	d.outermost.ServeHTTP(&discardWriter{header: make(http.Header), closed: make(chan bool)}, d.r.WithContext(ctx))
}

// Detach isn't called.
func (d *detached) Detach() Exchange { return nil }

// discardWriter is the http.ResponseWriter of a background run. It has all methods of an HTTP/1 server's writers
// except Hijack.
type discardWriter struct {
	header http.Header
	closed chan bool
}

func (w *discardWriter) Header() http.Header { return w.header }

func (w *discardWriter) WriteHeader(int) {}

func (w *discardWriter) Write(p []byte) (int, error) { return len(p), nil }

func (w *discardWriter) Flush() {}

func (w *discardWriter) FlushError() error { return nil }

func (w *discardWriter) SetReadDeadline(time.Time) error { return nil }

func (w *discardWriter) SetWriteDeadline(time.Time) error { return nil }

func (w *discardWriter) EnableFullDuplex() error { return nil }

// CloseNotify returns a channel that nothing is sent on. Some frameworks panic without it.
func (w *discardWriter) CloseNotify() <-chan bool { return w.closed }
