package httpcache

import (
	"context"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// inquiry is a request on the way to what is stored for it.
type inquiry struct {
	x     Exchange
	ctx   context.Context
	r     *http.Request
	whole bool // r is all there is to know; else it is a glimpse, out of which no string is kept
	plain bool // no field of r's header is Heeded
}

// inquire begins with a glimpse, where the exchange has one and nobody wants to see more: not the user's functions, nor a key
// of other fields.
func (c *Cache) inquire(x Exchange) inquiry {
	if g, ok := x.(Glimpser); ok && c.options.glimpses {
		if r, ctx := g.Glimpse(); r != nil {
			return inquiry{x: x, ctx: ctx, r: r, plain: len(r.Header) == 0}
		}
	}
	r := x.Request()
	return inquiry{x: x, ctx: r.Context(), r: r, whole: true, plain: rfc9111.Plain(r.Header)}
}

// request returns the whole request.
func (q *inquiry) request() *http.Request {
	if !q.whole {
		q.r, q.whole = q.x.Request(), true
	}
	return q.r
}
