package httpcache

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

// want is what a request wants of the handler, and where the answer is to be stored.
type want struct {
	place
	at         string // the key of the flight: that of the place, or of its part
	request    *http.Request
	directives rfc9111.Directives
	why        rfc9111.Forward
	detail     string // for Cache-Status, if the handler is asked
	reload     bool   // a new response, whatever is stored
	stale      bool   // what is stored may be served if the handler fails
	again      bool   // it has waited in vain
}

// part answers whether the request asks for a part of a response of which nothing is stored.
func (w *want) part() bool { return w.at != w.key }

// conditions are those under which the handler needn't answer: that it would with what is stored.
func (w *want) conditions() (ifNoneMatch, ifModifiedSince string) {
	if w.found == nil {
		return "", ""
	}
	return rfc9111.Conditions(w.found.origin())
}

// asks answers whether the handler is asked if what is stored still holds. Else a 304 says nothing about that.
func (w *want) asks() bool {
	match, since := w.conditions()
	return match != "" || since != ""
}

// turn is a request's part in its key's flight. The flight's loader asks it to lead, or the flight ends without asking:
// then another request led, or the response was found.
type turn struct {
	*want
	crowd   *crowd // nil: nobody can wait for it
	arrived time.Time

	taken   atomic.Bool   // by the first of: the loader, the request that goes its own way
	lead    chan struct{} // closed by the loader
	outcome chan outcome  // from the leader to the loader
	over    atomic.Bool   // the loader didn't wait for the outcome
	refused bool          // the outcome's; for the leader
	failed  bool          // the same
	stored  bool          // it has a response
}

// outcome is what a leader's run came to: a response, or none.
type outcome struct {
	response *response
	refused  bool // not by accident: the next one won't be stored either
	failed   bool // the handler did
}

func newTurn(w *want) *turn {
	return &turn{want: w, arrived: time.Now(), lead: make(chan struct{}), outcome: make(chan outcome, 1)}
}

func (t *turn) take() bool { return t.taken.CompareAndSwap(false, true) }

// load returns the flight's loader: it waits for what the leading request records.
func (c *Cache) load(t *turn) tiered.Loader[*response] {
	return func(ctx context.Context, e *tiered.Entry[*response]) (*response, error) {
		var o outcome
		if t.take() {
			close(t.lead)
			select {
			case o = <-t.outcome:
			case <-ctx.Done(): // followers needn't wait any longer
				t.over.Store(true)
				return nil, ctx.Err()
			}
		}
		return c.settle(ctx, t.want, e, o)
	}
}

// deliver hands the leader's outcome to the loader.
func (c *Cache) deliver(t *turn, o outcome) {
	if o.response != nil && !t.over.Load() {
		c.stats.stored.Add(1)
	}
	t.refused, t.failed, t.stored = o.refused, o.failed, o.response != nil
	t.outcome <- o
	if t.crowd != nil {
		c.crowds.leave(t)
	}
}
