package httpcache

import (
	"context"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// requestView is a request on the way to what is stored for it.
type requestView struct {
	x        Exchange
	ctx      context.Context
	r        *http.Request
	complete bool // r is all there is to know; else it is a preview, out of which no string is kept
	relevant rfc9111.Relevant

	aroundFields around // if looked
	aroundKnown  bool
}

// view begins with a preview, where the exchange has one and nobody wants to see more: not the user's functions, nor a key
// of other fields.
func (c *Cache) view(x Exchange) requestView {
	if g, ok := x.(Previewer); ok && c.options.previews {
		if r, ctx := g.Preview(); r != nil {
			return requestView{x: x, ctx: ctx, r: r, relevant: rfc9111.RelevantOf(r.Header)}
		}
	}
	r := x.Request()
	return requestView{x: x, ctx: r.Context(), r: r, complete: true, relevant: rfc9111.RelevantOf(r.Header)}
}

// has reports whether r's header says something about this.
func (view *requestView) has(h rfc9111.Relevant) bool { return view.relevant&h != 0 }

// request returns the whole request.
func (view *requestView) request() *http.Request {
	if !view.complete {
		view.r, view.complete = view.x.Request(), true
	}
	return view.r
}
