package httpcache

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

// missRequest is what a request wants of the handler, and where the answer is to be stored.
type missRequest struct {
	candidate
	flightKey     string // the key of the flight: that of the candidate, or of its part
	request       *http.Request
	directives    rfc9111.Directives
	forward       rfc9111.Forward
	detail        string // for Cache-Status, if the handler is asked
	reload        bool   // a new response, whatever is stored
	mayServeStale bool   // what is stored may be served if the handler fails
	retried       bool   // it has waited in vain
}

// forPart reports whether the request asks for a part of a response of which nothing is stored.
func (m *missRequest) forPart() bool { return m.flightKey != m.key }

// conditions are those under which the handler needn't answer: that it would with what is stored.
func (m *missRequest) conditions() (ifNoneMatch, ifModifiedSince string) {
	if m.found == nil {
		return "", ""
	}
	return rfc9111.Conditions(m.found.origin())
}

// validates reports whether the handler is asked if what is stored still holds. Else a 304 says nothing about that.
func (m *missRequest) validates() bool {
	match, since := m.conditions()
	return match != "" || since != ""
}

// participant is a request's part in its key's flight. The flight's loader asks it to lead, or the flight ends without asking:
// then another request led, or the response was found.
type participant struct {
	*missRequest
	group   *collapseGroup // nil: nobody can wait for it
	arrived time.Time

	claimed    atomic.Bool   // by the first of: the loader, the request that goes its own way
	lead       chan struct{} // closed by the loader
	outcome    chan outcome  // from the leader to the loader
	abandoned  atomic.Bool   // the loader didn't wait for the outcome
	unstorable bool          // the outcome's; for the leader
	failed     bool          // the same
	stored     bool          // it has a response
}

// outcome is what a leader's run came to: a response, or none.
type outcome struct {
	response   *response
	unstorable bool // not by accident: the next one won't be stored either
	failed     bool // the handler did
}

func newParticipant(m *missRequest) *participant {
	return &participant{missRequest: m, arrived: time.Now(), lead: make(chan struct{}), outcome: make(chan outcome, 1)}
}

func (p *participant) claim() bool { return p.claimed.CompareAndSwap(false, true) }

// load returns the flight's loader: it waits for what the leading request records.
func (c *Cache) load(p *participant) tiered.Loader[*response] {
	return func(ctx context.Context, e *tiered.Entry[*response]) (*response, error) {
		var o outcome
		if p.claim() {
			close(p.lead)
			select {
			case o = <-p.outcome:
			case <-ctx.Done(): // followers needn't wait any longer
				p.abandoned.Store(true)
				return nil, ctx.Err()
			}
		}
		return c.loadResult(ctx, p.missRequest, e, o)
	}
}

// deliver hands the leader's outcome to the loader.
func (c *Cache) deliver(p *participant, o outcome) {
	if o.response != nil && !p.abandoned.Load() {
		c.stats.stored.Add(1)
	}
	p.unstorable, p.failed, p.stored = o.unstorable, o.failed, o.response != nil
	p.outcome <- o
	if p.group != nil {
		c.groups.leave(p)
	}
}
