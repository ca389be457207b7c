package fibercache

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// detached is the httpcache.Exchange of a run that no client waits for. Fiber's Ctx is reused as soon as a request is answered,
// and handlers can't be run without one: so a copy of the request goes through the whole app once more.
type detached struct {
	r   *http.Request
	ctx *fasthttp.RequestCtx
	app fasthttp.RequestHandler
	run context.Context // tells the caches that it comes to what it is for
}

// detachedKey is a behind's key among the values of its request.
type detachedKey struct{}

func (x *exchange) Detach() httpcache.Exchange {
	x.seen = true
	in, app := x.c.RequestCtx(), x.c.App()
	config := app.Config()
	ctx := new(fasthttp.RequestCtx)
	ctx.Init2(newConn(in), nil, true)
	in.Request.CopyTo(&ctx.Request)
	ctx.Request.SetRequestURIBytes(in.Request.Header.RequestURI()) // with the path that handlers around the cache may have changed
	ctx.Response.Header.SetNoDefaultContentType(config.DisableDefaultContentType)
	if config.DisableHeaderNormalizing {
		ctx.Response.Header.DisableNormalizing()
	}
	// Its own context: values in this request's may refer to its Ctx. The handlers around the cache make them anew.
	r := x.Request().WithContext(context.Background())
	return &detached{r: r, ctx: ctx, app: app.Server().Handler}
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
		if d.ctx.LastTimeoutErrorResponse() == nil { // else the handler may still be at work
			d.ctx.ResetUserValues()
			d.ctx.Response.ResetBody() // closes a stream
		}
	}()
	d.app(d.ctx)
}

// Detach isn't called.
func (d *detached) Detach() httpcache.Exchange { return nil }

// adoptContext has the request's context say what the run is for. The first middleware that the run comes to calls it.
func (d *detached) adoptContext(c fiber.Ctx) {
	c.RequestCtx().RemoveUserValue(detachedKey{})
	c.SetContext(joinedContext{d.run, c.Context()})
}

// conn is a closed connection that has a real one's addresses.
type conn struct {
	net.Conn
	local, remote net.Addr
}

// tlsConn is what fasthttp takes for a TLS connection.
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
