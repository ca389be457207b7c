package fasthttpcache

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// exchange is the httpcache.Exchange of a Call.
type exchange[C Call] struct {
	f    *Framework[C]
	c    C
	r    *http.Request // nil: not made yet
	err  error         // of the handlers inside the cache
	seen bool          // code outside Answer has seen the request

	// The parts of r, or of a preview of it:
	request http.Request
	url     url.URL
	fields  http.Header
	lines   []string
}

// release returns the exchange to the pool. After a hit its request isn't used any more; its strings don't change.
func (x *exchange[C]) release() {
	const most = 64 // fields: larger maps aren't reused
	if x.seen || len(x.fields) > most {
		return
	}
	clear(x.fields)
	clear(x.lines)
	f := x.f
	*x = exchange[C]{fields: x.fields, lines: x.lines[:0]}
	f.exchanges.Put(x)
}

// Request returns the parsed request. Parsing only fails if there is no preview.
func (x *exchange[C]) Request() *http.Request {
	if x.r == nil {
		_ = x.parse()
	}
	return x.r
}

// Preview returns a request whose strings are in fasthttp's own memory.
func (x *exchange[C]) Preview() (*http.Request, context.Context) {
	if x.r != nil {
		return nil, nil
	}
	return &x.request, x.c.Context()
}

func (x *exchange[C]) Around(name string) []string {
	var lines []string
	for n, line := range x.c.RequestCtx().Response.Header.All() { // usually only fasthttp's default
		if len(n) == len(name) && len(line) > 0 && strings.EqualFold(viewString(n), name) {
			lines = append(lines, string(line))
		}
	}
	return lines
}

func (x *exchange[C]) Serve(reply *httpcache.Reply) {
	out := &x.c.RequestCtx().Response
	setReply(&out.Header, reply, x.f.Server(x.c))
	if reply.Shared {
		out.SetBodyRaw(reply.Body[:len(reply.Body):len(reply.Body)])
		return
	}
	out.SetBody(reply.Body) // the stored bytes belong to all hits
}

func (x *exchange[C]) Run(rec *httpcache.Recording) {
	x.seen = true
	out := &x.c.RequestCtx().Response
	var before, after http.Header
	if rec.Active() {
		before = responseHeader(out)
		delete(before, "Content-Type") // fasthttp's default looks as if a handler had set it
	}
	var own *fasthttp.ResponseHeader
	if rec.MayHold() {
		own = new(fasthttp.ResponseHeader)
		out.Header.CopyTo(own)
	}
	thrown := x.next(rec)
	if x.abandoned() {
		rec.Drop()
		return // the handler may still be writing to out
	}
	status := x.status(rec)
	if thrown != nil {
		status = http.StatusInternalServerError
	} else if x.err == nil && rec.Active() {
		after = x.header()
		if status == http.StatusOK && x.empty() && sameLines(before, after) {
			rec.Drop() // as on net/http, where a handler that wrote nothing hasn't answered
		}
	}
	s := rec.Head(status, before, after)
	switch {
	case thrown != nil && rec.Held():
		rec.Panicked(thrown)
	case thrown != nil:
		rec.Drop()
		panic(thrown)
	case x.err != nil:
		rec.Drop()
	case rec.Active() && !x.hasStream():
		if rec.Body(out.Body()); s != "" {
			s = rec.CacheStatus() // now it is known whether the body is too long
		}
		if !rec.Delays() {
			break
		}
		made, _ := rec.Complete()
		for _, field := range made {
			out.Header.Set(field.Name, field.Value) // if it is held, the response is replaced
		}
	}
	switch {
	case rec.Held():
		x.err = nil
		own.CopyTo(&out.Header)
		out.ResetBody()
		out.SkipBody = false
	case s != "":
		out.Header.Add("Cache-Status", s)
	}
}

// next runs the handlers inside the cache, and restores the request for those around it. If they panic, and a stored response may be
// served instead, it returns the panic's argument.
func (x *exchange[C]) next(rec *httpcache.Recording) (thrown any) {
	if !rec.Active() {
		x.err = x.c.Next()
		return nil
	}
	if rec.MayHold() {
		defer func() { thrown = recover() }()
	}
	ctx := x.c.Context()
	x.c.SetContext(rec.Context(ctx))
	restore := applyEdits(&x.c.RequestCtx().Request.Header, rec.Edits())
	defer func() {
		if !x.abandoned() { // otherwise a handler may still be reading both
			restore()
			x.c.SetContext(ctx)
		}
	}()
	x.err = x.c.Next()
	return nil
}

// status returns the status of the response, or 0 if it isn't known yet, because the framework's error handler will write it. If the
// cache may serve a stale response, an error that stands for the status of a server error counts as that status.
func (x *exchange[C]) status(rec *httpcache.Recording) int {
	if x.err == nil {
		return x.c.RequestCtx().Response.StatusCode()
	}
	if rec.MayHold() && x.f.Status != nil {
		if status := x.f.Status(x.err); status >= http.StatusInternalServerError {
			return status
		}
	}
	rec.Drop()
	return 0
}

// header returns the response's header for the cache.
func (x *exchange[C]) header() http.Header {
	out := &x.c.RequestCtx().Response
	h := responseHeader(out)
	if x.hasStream() {
		h["Content-Length"] = []string{strconv.Itoa(math.MaxInt)} // more than is ever stored
	} else {
		if x.empty() && !hasContentType(out) {
			delete(h, "Content-Type") // fasthttp has a default, but doesn't send it
		}
		if n := out.Header.ContentLength(); n > 0 && !whole(out, n) {
			h["Content-Length"] = []string{strconv.Itoa(n)}
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // fasthttp doesn't guess it, and so the cache must not
	}
	return h
}

// whole reports whether the body has the length that a handler set, before it was compressed. fasthttp itself
// sets the actual length, so that an incomplete body of a net/http handler looks complete.
func whole(out *fasthttp.Response, length int) bool {
	body := out.Body()
	if len(body) == length {
		return true
	}
	if len(out.Header.ContentEncoding()) == 0 {
		return false
	}
	plain, err := out.BodyUncompressedWithLimit(length)
	return err == nil && len(plain) == length
}

// empty reports whether the response has no body.
func (x *exchange[C]) empty() bool {
	return !x.hasStream() && len(x.c.RequestCtx().Response.Body()) == 0
}

// abandoned reports whether a timeout has abandoned the handler.
func (x *exchange[C]) abandoned() bool { return x.c.RequestCtx().LastTimeoutErrorResponse() != nil }

// hasStream reports whether the body is a stream, which Body would drain.
func (x *exchange[C]) hasStream() bool {
	return x.c.RequestCtx().Response.IsBodyStream() || x.c.RequestCtx().Hijacked()
}
