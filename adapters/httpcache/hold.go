package httpcache

import (
	"net/http"
	"slices"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// hold reports whether the client gets a reply from another response instead of this one.
func (rec *Recording) hold(status int, before, header http.Header) bool {
	m := rec.miss
	switch {
	case status == http.StatusNotModified && m.validates() && !rec.headOnly:
		rec.validated(before, header)
	case m.mayServeStale && rfc9111.OriginFailed(status):
		rec.serveStale(status)
	case status == http.StatusOK && !rec.headOnly && conditional(m.request) && rec.unmodified(before, header):
	default:
		return false
	}
	rec.held = true
	return true
}

// serveStale makes the stale response the reply. status is that of the handler's response; 0: it made none.
func (rec *Recording) serveStale(status int) {
	age := rfc9111.Older(rec.miss.age, time.Since(rec.began))
	rec.prepareReply(rec.miss.found, age, rfc9111.Status{FwdStatus: status, Detail: "stale-if-error"})
	rec.finish(outcome{failed: true})
}

// fail is called instead of Head if there is no response because of an error. If a stale response may be served instead, the run is
// Held. Otherwise requests that wait for it get the same error, if shared.
func (rec *Recording) fail(err error, shared bool) {
	if rec.holds && rec.miss.mayServeStale {
		rec.serveStale(0)
		rec.held = true
		return
	}
	rec.holds = false
	if !shared {
		err = nil
	}
	rec.finish(outcome{err: err})
}

// prepareReply prepares a reply from the stored response.
func (rec *Recording) prepareReply(r *response, age time.Duration, status rfc9111.Status) {
	status.Cache, status.Forward = rec.cache.options.Name, rec.miss.forward
	if status.Detail == "" {
		status.Detail = rec.miss.detail
	}
	rec.reply = rec.cache.reply(rec.miss.request, r.mergedWith(func(name string) []string { return rec.before[name] }), age, status)
}

// validated freshens the stored response with the handler's 304 (RFC 9111 §4.3.4).
func (rec *Recording) validated(before, header http.Header) {
	c, m := rec.cache, rec.miss
	c.stats.validated.Add(1)
	r := c.freshened(m, rec.began, before, header)
	why := c.whyUnstorable(m, r.Status, r.termsHeader(before))
	ok := why == "" && rec.Active()
	if ok {
		rec.finish(outcome{response: r})
	} else {
		rec.finish(outcome{unstorable: true})
	}
	rec.prepareReply(r, r.Age, rfc9111.Status{FwdStatus: http.StatusNotModified, Stored: ok, Detail: why})
	kind := c.options.kind()
	rec.reply.clientLines = ownLines(header, slices.Concat(rfc9111.Own(header, kind), rfc9111.Own(r.header(), kind)))
}

// unmodified reports whether the client has a current copy of the handler's response. The handler's request didn't have the client's
// conditions, so that the response could be stored.
func (rec *Recording) unmodified(before, header http.Header) bool {
	r := &response{Status: http.StatusOK}
	r.addFields(before, header, rec.cache.options.kind())
	v := r.validators()
	v.Date = "" // it replaces a missing Last-Modified of a stored response only, and this one is new
	if !rfc9111.NotModified(rec.miss.request.Header, v) {
		return false
	}
	if rec.Active() {
		rec.head(http.StatusOK, before, header)
	}
	rec.prepareReply(r, -1, rfc9111.Status{FwdStatus: http.StatusOK, Stored: rec.Active()})
	rec.reply.clientLines = rec.clientLines
	return true
}
