package httpcache

import (
	"context"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// requestView is a request during the lookup, possibly only a preview of it.
type requestView struct {
	x        Exchange
	ctx      context.Context
	r        *http.Request
	complete bool // r is the whole request; otherwise it is a preview, whose strings must not be kept
	relevant rfc9111.Relevant

	aroundFields around // if looked
	aroundKnown  bool
}

// begin begins the view with a preview, if the exchange has one, and neither the user's functions nor a key with other fields need the
// whole request.
func (c *Cache) begin(view *requestView, x Exchange) {
	view.x = x
	if g, ok := x.(Previewer); ok && c.keys.previews {
		view.r, view.ctx = g.Preview()
	}
	if view.r == nil {
		view.r, view.complete = x.Request(), true
		view.ctx = view.r.Context()
	}
	view.relevant = rfc9111.RelevantOf(view.r.Header)
}

// has reports whether r's header has a field of this kind.
func (view *requestView) has(h rfc9111.Relevant) bool { return view.relevant&h != 0 }

// request returns the whole request.
func (view *requestView) request() *http.Request {
	if !view.complete {
		view.r, view.complete = view.x.Request(), true
	}
	return view.r
}

// around returns what handlers around the cache have set.
func (view *requestView) around(private bool) *around {
	if !view.aroundKnown {
		view.aroundKnown, view.aroundFields = true, aroundOf(view.x.Around, private)
	}
	return &view.aroundFields
}
