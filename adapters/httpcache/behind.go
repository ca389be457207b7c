package httpcache

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

// renew has the handler asked, behind the request, for a new response in place of a stale one that was served. The store
// bounds how many such loads there are, has one of a key at a time, and ends them on Close.
func (c *Cache) renew(x Exchange, p place) {
	if x.Request().Method == http.MethodHead {
		return // it brings no body: that is for the next GET
	}
	d := x.Detach()
	if d == nil {
		return
	}
	w := &want{place: p, at: p.key, request: c.normalised(d.Request()), why: rfc9111.ForStale}
	ctx := context.WithoutCancel(w.request.Context())
	// It returns the stale response, which the store renews in the background.
	_, _ = c.store.GetOrLoad(ctx, p.key, func(ctx context.Context, e *tiered.Entry[*response]) (*response, error) {
		o, err := c.runBehind(ctx, d, w)
		if err != nil {
			return nil, err
		}
		return c.settle(ctx, w, e, o)
	})
}

// runBehind runs the handler for nobody, and returns what it came to.
func (c *Cache) runBehind(ctx context.Context, d Exchange, w *want) (o outcome, err error) {
	w.request = w.request.WithContext(ctx) // the client's ends with the answer it has already
	t := newTurn(w)
	rec := c.record(t)
	rec.ctx = ctx
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("httpcache: the handler panicked: %v", p)
		}
	}()
	d.Run(rec)
	rec.end()
	return <-t.outcome, nil // every end delivers one
}
