package fibercache

import (
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// New returns a handler that answers for the handlers after it as far as the cache can. It may share the cache with
// net/http handlers and other processes: the same URL has the same key.
func New(cache *httpcache.Cache) fiber.Handler {
	return func(c fiber.Ctx) error {
		r, err := newRequest(c)
		if err != nil {
			return c.Next() // net/http would have refused it, or taken it for another
		}
		x := &exchange{c: c, r: r}
		cache.Answer(x)
		return x.err
	}
}

// exchange is the httpcache.Exchange of Fiber.
type exchange struct {
	c   fiber.Ctx
	r   *http.Request
	err error // of the handlers after it
}

func (x *exchange) Request() *http.Request { return x.r }

func (x *exchange) Serve(reply *httpcache.Reply) {
	out := x.c.Response()
	out.SetStatusCode(reply.Status)
	out.Header.SetNoDefaultContentType(true) // a response that was stored without one had none
	last := ""
	for name, value := range reply.Fields() {
		if name == last {
			out.Header.Add(name, value)
			continue
		}
		out.Header.Set(name, value)
		last = name
	}
	// Not SetBodyRaw: the stored bytes are everybody's.
	out.SetBody(reply.Body)
}

func (x *exchange) Run(rec *httpcache.Recording) {
	out := x.c.Response()
	var before, after http.Header
	recorded := rec.Active()
	ctx := x.c.Context()
	if recorded {
		before = responseHeader(out)
		delete(before, "Content-Type") // fasthttp's default looks as if somebody had set it
		x.c.SetContext(rec.Context(ctx))
	}
	x.err = x.c.Next()
	if x.c.RequestCtx().LastTimeoutErrorResponse() != nil {
		rec.Drop()
		return // the handler may still be at work on out
	}
	if recorded {
		x.c.SetContext(ctx)
	}
	if x.err != nil || elsewhere(x.c.RequestCtx()) {
		rec.Drop() // what is in out isn't the answer
	}
	if rec.Active() {
		after = responseHeader(out)
		if _, ok := after["Content-Type"]; !ok {
			after["Content-Type"] = nil // fasthttp doesn't guess: nor may the cache
		}
	}
	if s := rec.Head(out.StatusCode(), before, after); s != "" {
		out.Header.Add("Cache-Status", s)
	}
	if rec.Active() {
		rec.Body(out.Body())
	}
}

// responseHeader copies a response's header fields, without a length, which fasthttp sets by the body.
func responseHeader(out *fasthttp.Response) http.Header {
	h := make(http.Header)
	for name, value := range out.Header.All() {
		h.Add(string(name), string(value))
	}
	delete(h, "Content-Length")
	return h
}

// elsewhere answers whether the body comes from elsewhere than the response: Body would drain a stream.
func elsewhere(ctx *fasthttp.RequestCtx) bool {
	return ctx.Response.IsBodyStream() || ctx.Hijacked()
}
