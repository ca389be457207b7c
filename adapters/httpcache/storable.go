package httpcache

import (
	"net/http"
	"slices"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// storable returns the value to be stored for a response to w, without its fields and its body; or nil and the reason why it can't be
// stored.
func (c *Cache) storable(m *missRequest, status int, header http.Header, received time.Time) (r *response, why string) {
	length, known := contentLength(header)
	switch {
	case !known:
		return nil, "content-length"
	case length > c.options.MaxBody:
		return nil, "too-long"
	}
	if why := c.whyUnstorable(m, status, header); why != "" {
		return nil, why
	}
	r = &response{Status: status}
	r.setTerms(rfc9111.TermsOf(status, header, received, c.options.defaults()))
	if status != http.StatusPartialContent {
		return r, ""
	}
	part, size, ok := rfc9111.ParseContentRange(header["Content-Range"])
	if !ok || size <= 0 || !m.forPart() {
		return nil, "part"
	}
	r.First, r.Size = part.First, size
	return r, ""
}

// whyUnstorable returns why a response with this header can't be stored; "" if it can. A response with too many tags or groups can't:
// PurgeTags would miss it if some were omitted.
func (c *Cache) whyUnstorable(m *missRequest, status int, header http.Header) (why string) {
	if _, ok := rfc9111.Tags(header); !ok {
		return "tags"
	}
	if _, ok := rfc9111.Groups(header["Cache-Groups"]); !ok {
		return "groups"
	}
	_, why = rfc9111.Storable(m.request.Header, status, header, c.rules(m))
	return why
}

func (c *Cache) rules(m *missRequest) rfc9111.Rules {
	return rfc9111.Rules{SetCookie: c.options.ShareCookies, Private: m.private}
}

// worthStoring reports whether the response can be used: it is fresh, or can be validated, or may be served after a failure.
func (c *Cache) worthStoring(r *response, header http.Header) bool {
	if r.freshFor(r.Age) > 0 {
		return true
	}
	if r.Flags&explicit == 0 || r.Size > 0 {
		return false
	}
	valid := len(header["Etag"]) > 0 || len(header["Last-Modified"]) > 0
	return valid && c.options.Keep > 0 || r.usableStale(r.Age)
}

// hold reports whether the client gets a reply from another response instead of this one.
func (rec *Recording) hold(status int, before, header http.Header) bool {
	m := rec.miss
	switch {
	case status == http.StatusNotModified && m.validates() && !rec.headOnly:
		rec.validated(before, header)
	case m.mayServeStale && rfc9111.OriginFailed(status):
		age := rfc9111.Older(m.age, time.Since(rec.began))
		rec.prepareReply(m.found, age, rfc9111.Status{FwdStatus: status, Detail: "stale-if-error"})
		rec.finish(outcome{failed: true})
	case status == http.StatusOK && !rec.headOnly && conditional(m.request) && rec.unmodified(before, header):
	default:
		return false
	}
	rec.held = true
	return true
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
	rec.reply.clientLines = ownLines(header, slices.Concat(rfc9111.Own(header), rfc9111.Own(r.header())))
}

// freshened returns the stored response with the fields of a 304 (RFC 9111 §3.2). A 304 with another entity tag updates no field
// (§4.3.4): it only confirms the stored response.
func (c *Cache) freshened(m *missRequest, began time.Time, before, header http.Header) *response {
	received := time.Now()
	update := &response{}
	if rfc9111.Validates(m.found.origin(), header) {
		update.addFields(before, header)
	}
	if update.get("Date") == "" {
		update.add("Date", received.UTC().Format(http.TimeFormat))
	}
	r := *m.found
	r.Header = make([]string, 0, len(m.found.Header)+len(update.Header))
	for i := 0; i+1 < len(m.found.Header); i += 2 {
		if name := m.found.Header[i]; !rfc9111.Updates(name) || !has(update.Header, name) {
			r.add(name, m.found.Header[i+1])
		}
	}
	for i := 0; i+1 < len(update.Header); i += 2 {
		if name := update.Header[i]; rfc9111.Updates(name) {
			r.add(name, update.Header[i+1])
		}
	}
	r.dropClientFields()
	r.Age = rfc9111.InitialAge(header, began, received)
	c.noteAround(m, &r, before)
	r.Varies = slices.Compact(slices.Sorted(slices.Values(slices.Concat(r.Varies, m.found.Varies))))
	r.setTerms(rfc9111.TermsOf(r.Status, r.termsHeader(before), received, c.options.defaults()))
	r.prepare()
	return &r
}

// dropClientFields removes the fields that by the current Cache-Control are for one client only. It may name stored fields as well as
// fields of a 304.
func (r *response) dropClientFields() {
	own := rfc9111.Own(r.header())
	if len(own) == 0 {
		return
	}
	kept := r.Header[:0:0]
	for i := 0; i+1 < len(r.Header); i += 2 {
		if !slices.Contains(own, r.Header[i]) {
			kept = append(kept, r.Header[i], r.Header[i+1])
		}
	}
	r.Header = kept
}

func has(fields []string, name string) bool {
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == name {
			return true
		}
	}
	return false
}

// unmodified reports whether the client has a current copy of the handler's response. The handler's request didn't have the client's
// conditions, so that the response could be stored.
func (rec *Recording) unmodified(before, header http.Header) bool {
	r := &response{Status: http.StatusOK}
	r.addFields(before, header)
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
