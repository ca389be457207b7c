package httpcache

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// missRequest is a request that runs the handler or waits for it, and the key under which the response is to be stored.
type missRequest struct {
	candidate
	flightKey     string // the key of the flight: that of the candidate, or of its part
	request       *http.Request
	directives    rfc9111.Directives
	forward       rfc9111.Forward
	detail        string // for Cache-Status, if the handler runs
	reload        bool   // a new response is wanted, whatever is stored
	mayServeStale bool   // the stored response may be served if the handler fails
	retried       bool   // it has waited in vain
}

// forPart reports whether it is a range request for a response of which nothing is stored.
func (m *missRequest) forPart() bool { return m.flightKey != m.key }

// conditions returns the conditions that let the handler confirm the stored response instead of sending one.
func (m *missRequest) conditions() (ifNoneMatch, ifModifiedSince string) {
	if m.found == nil {
		return "", ""
	}
	return rfc9111.Conditions(m.found.origin())
}

// validates reports whether the handler's request has the stored response's validators. Otherwise a 304 doesn't refer to it.
func (m *missRequest) validates() bool {
	match, since := m.conditions()
	return match != "" || since != ""
}

// conditional reports whether the request has a condition about the client's copy.
func conditional(r *http.Request) bool {
	return len(r.Header["If-None-Match"]) > 0 || len(r.Header["If-Modified-Since"]) > 0
}

// participant is a request in its key's flight. The flight's loader lets it lead, or the flight ends without that,
// because another request led or the response was found.
type participant struct {
	*missRequest
	group   *collapseGroup // nil: no request can wait for it
	arrived time.Time

	claimed    atomic.Bool   // by the loader, or by the request when it stops waiting, whichever is first
	lead       chan struct{} // closed by the loader
	outcome    chan outcome  // from the leader to the loader
	abandoned  atomic.Bool   // the loader didn't wait for the outcome
	unstorable bool          // the outcome's; for the leader
	failed     bool          // the same
	stored     bool          // it has a response
}

// outcome is the result of a leader's run: a response, or none.
type outcome struct {
	response   *response
	unstorable bool  // permanently: the next one probably can't be stored either
	failed     bool  // the handler did
	err        error // there is no response because of it, and requests that wait for one get it, too
}

func newParticipant(m *missRequest) *participant {
	return &participant{missRequest: m, arrived: time.Now(), lead: make(chan struct{}), outcome: make(chan outcome, 1)}
}

func (p *participant) claim() bool { return p.claimed.CompareAndSwap(false, true) }

// join lets the participant wait for another request's response, or lead. It returns false if it can do neither.
func (c *Cache) join(p *participant, shares bool) bool {
	p.group = c.groups.join(p.flightKey, p.reload, shares)
	return p.group != nil
}

// deliver sends the leader's outcome to the loader.
func (c *Cache) deliver(p *participant, o outcome) {
	if o.response != nil && !p.abandoned.Load() {
		c.stats.stored.Add(1)
	}
	p.unstorable, p.failed, p.stored = o.unstorable, o.failed, o.response != nil
	p.outcome <- o
	if p.group != nil {
		c.groups.leave(p.group, p.reload)
	}
}
