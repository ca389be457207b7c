package fasthttpcache

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// detached is the httpcache.Exchange of a background run. A RequestCtx is reused after its request, so a copy of the request passes
// through the server's handler once more.
type detached struct {
	r   *http.Request
	ctx *fasthttp.RequestCtx
	all fasthttp.RequestHandler
	run context.Context // tells the caches which of them records the run, and for which key
}

// detachedKey is the key of a detached in its request's user values.
type detachedKey struct{}

func (x *exchange[C]) Detach() httpcache.Exchange {
	x.seen = true
	in, server := x.c.RequestCtx(), x.f.Server(x.c)
	ctx := new(fasthttp.RequestCtx)
	ctx.Init2(newConn(in), nil, true)
	in.Request.CopyTo(&ctx.Request)
	ctx.Request.SetRequestURIBytes(in.Request.Header.RequestURI()) // handlers around the cache may have changed the path
	ctx.Response.Header.SetNoDefaultContentType(server.NoDefaultContentType)
	if server.DisableHeaderNamesNormalizing {
		ctx.Response.Header.DisableNormalizing()
	}
	// A context of its own: values in this request's may refer to its RequestCtx. The handlers around the cache set them again.
	r := x.Request().WithContext(context.Background())
	return &detached{r: r, ctx: ctx, all: server.Handler}
}

func (d *detached) Request() *http.Request { return d.r }

// Around isn't called.
func (d *detached) Around(string) []string { return nil }

// Serve isn't called.
func (d *detached) Serve(*httpcache.Reply) {}

func (d *detached) Run(rec *httpcache.Recording) {
	d.run = rec.Context(d.r.Context())
	d.ctx.SetUserValue(detachedKey{}, d)
	defer func() {
		if d.ctx.LastTimeoutErrorResponse() == nil { // otherwise the handler may still be running
			d.ctx.ResetUserValues()
			d.ctx.Response.ResetBody() // closes a stream
		}
	}()
	d.all(d.ctx)
}

// Detach isn't called.
func (d *detached) Detach() httpcache.Exchange { return nil }

// adoptContext adds the run to the request's context. The first cache middleware on the way calls it.
func (d *detached) adoptContext(c Call) {
	c.RequestCtx().RemoveUserValue(detachedKey{})
	c.SetContext(joinedContext{d.run, c.Context()})
}

// joinedContext is a context that ends with one, and has the values of both.
type joinedContext struct {
	context.Context
	values context.Context
}

func (w joinedContext) Value(key any) any {
	if v := w.Context.Value(key); v != nil {
		return v
	}
	return w.values.Value(key)
}

// conn is a closed connection with the addresses of a real one.
type conn struct {
	net.Conn
	local, remote net.Addr
}

// tlsConn is a conn that fasthttp considers a TLS connection.
type tlsConn struct {
	conn
	state tls.ConnectionState
}

func newConn(in *fasthttp.RequestCtx) net.Conn {
	closed, other := net.Pipe()
	_, _ = closed.Close(), other.Close()
	c := conn{Conn: closed, local: in.LocalAddr(), remote: in.RemoteAddr()}
	if !in.IsTLS() {
		return c
	}
	t := tlsConn{conn: c}
	if state := in.TLSConnectionState(); state != nil {
		t.state = *state
	}
	return t
}

func (c conn) LocalAddr() net.Addr { return c.local }

func (c conn) RemoteAddr() net.Addr { return c.remote }

func (tlsConn) Handshake() error { return nil }

func (c tlsConn) ConnectionState() tls.ConnectionState { return c.state }
