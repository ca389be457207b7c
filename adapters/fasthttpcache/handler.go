package fasthttpcache

import (
	"context"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// New returns middleware that serves the responses of the handler inside it, from the cache if possible. It may share the cache with
// handlers of net/http and Fiber and with other processes: the same URL has the same key.
//
// server is the server whose Handler has the middleware inside it: background runs begin there, and its NoDefaultDate decides who sets the
// Date. nil: they begin at the middleware, and the server sets the Date.
func New(cache *httpcache.Cache, server *fasthttp.Server) func(fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(next fasthttp.RequestHandler) fasthttp.RequestHandler {
		calls := sync.Pool{New: func() any { return new(call) }}
		own := server
		f := &Framework[*call]{Server: func(*call) *fasthttp.Server { return own }}
		h := func(ctx *fasthttp.RequestCtx) {
			c := calls.Get().(*call)
			c.ctx, c.next = ctx, next
			_ = f.Answer(cache, c) // it is always nil
			*c = call{}
			calls.Put(c)
		}
		if own == nil {
			own = &fasthttp.Server{Handler: h}
		}
		return h
	}
}

// contextKey is the key of a request's context in its user values.
type contextKey struct{}

// Context returns the context that SetContext has set, or context.Background(). Inside a cache it ends with the cache, or with the time for
// a background run, and has the values of the context outside.
func Context(ctx *fasthttp.RequestCtx) context.Context {
	if c, ok := ctx.UserValue(contextKey{}).(context.Context); ok {
		return c
	}
	return context.Background()
}

// SetContext sets the context of a request. Handlers around the cache pass data in it to httpcache.Options.User and Key.
func SetContext(ctx *fasthttp.RequestCtx, c context.Context) { ctx.SetUserValue(contextKey{}, c) }

// call is the Call of a handler.
type call struct {
	ctx  *fasthttp.RequestCtx
	next fasthttp.RequestHandler
}

func (c *call) RequestCtx() *fasthttp.RequestCtx { return c.ctx }

func (c *call) Context() context.Context { return Context(c.ctx) }

func (c *call) SetContext(ctx context.Context) { SetContext(c.ctx, ctx) }

func (c *call) Host() string { return viewString(c.ctx.Host()) }

func (c *call) Scheme() string {
	if c.ctx.IsTLS() {
		return "https"
	}
	return "http"
}

func (c *call) Next() error {
	c.next(c.ctx)
	return nil
}
