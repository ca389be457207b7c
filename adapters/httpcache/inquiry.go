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
	heeds rfc9111.Heeds

	said   around // if looked
	looked bool
}

// inquire begins with a glimpse, where the exchange has one and nobody wants to see more: not the user's functions, nor a key
// of other fields.
func (c *Cache) inquire(x Exchange) inquiry {
	if g, ok := x.(Glimpser); ok && c.options.glimpses {
		if r, ctx := g.Glimpse(); r != nil {
			return inquiry{x: x, ctx: ctx, r: r, heeds: rfc9111.HeedsOf(r.Header)}
		}
	}
	r := x.Request()
	return inquiry{x: x, ctx: r.Context(), r: r, whole: true, heeds: rfc9111.HeedsOf(r.Header)}
}

// heed answers whether r's header says something about this.
func (q *inquiry) heed(h rfc9111.Heeds) bool { return q.heeds&h != 0 }

// request returns the whole request.
func (q *inquiry) request() *http.Request {
	if !q.whole {
		q.r, q.whole = q.x.Request(), true
	}
	return q.r
}
