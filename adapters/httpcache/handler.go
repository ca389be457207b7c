package httpcache

import (
	"maps"
	"net/http"
	"sync"
)

// Handler returns a handler that serves the responses of next, from the cache if possible. Any number of handlers may share a cache, if
// no two of them have different responses for one key.
func (c *Cache) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := servings.Get().(*serving)
		s.exchange = exchange{cache: c, w: w, r: r, next: next}
		c.answer(&s.exchange, &s.plan)
		s.exchange = exchange{}
		if s.plan.reset() {
			servings.Put(s)
		}
	})
}

// serving is the memory of one request.
type serving struct {
	exchange exchange
	plan     plan
}

var servings = sync.Pool{New: func() any { return &serving{plan: plan{key: newKeyMemory()}} }}

// exchange is the Exchange of net/http.
type exchange struct {
	cache *Cache
	w     http.ResponseWriter
	r     *http.Request
	next  http.Handler
}

func (x *exchange) Request() *http.Request { return x.r }

func (x *exchange) Around(name string) []string { return x.w.Header()[name] }

func (x *exchange) Serve(reply *Reply) {
	h := x.w.Header()
	if typed := reply.setIn(h); !typed && len(reply.Body) > 0 {
		if _, ok := h["Content-Type"]; !ok {
			h["Content-Type"] = nil // keeps net/http from guessing: what it would guess is stored
		}
	}
	x.w.WriteHeader(reply.Status)
	if len(reply.Body) > 0 {
		_, _ = x.w.Write(reply.Body) // it fails if the client has disconnected
	}
}

func (x *exchange) Run(rec *Recording) {
	w := &writer{ResponseWriter: x.w, rec: rec, ctx: x.r.Context()}
	r := x.r
	if rec.Active() {
		w.before = maps.Clone(x.w.Header())
		r = r.WithContext(rec.Context(r.Context()))
		r.Header = edited(r.Header, rec.Edits())
		w.handlerHeader = maps.Clone(w.before)
		if w.handlerHeader == nil {
			w.handlerHeader = make(http.Header)
		}
	}
	defer w.rescue()
	x.next.ServeHTTP(w, r)
	x.r.Pattern = r.Pattern // r may be a copy, and handlers around the cache may log the pattern
	w.end()
}
