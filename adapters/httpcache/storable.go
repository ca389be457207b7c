package httpcache

import (
	"net/http"
	"slices"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// storable returns the value to be stored for a response to m, without its fields and its body; or nil and the reason why it can't be
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
	return rfc9111.Rules{SetCookie: c.options.ShareCookies, Private: m.private, Kind: c.options.kind()}
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

// noteAround stores with a response to m the fields that handlers around the cache set, and a name that may be missing in its Vary:
// if Options.Encodings says that the handler compresses, a response that isn't compressed because the request accepts no coding
// must not be served to a request that accepts one. Some compressors set Vary only when they compress.
func (c *Cache) noteAround(m *missRequest, r *response, before http.Header) {
	a := aroundOf(func(name string) []string { return before[name] }, m.private)
	r.Varies, r.Around = a.vary, a.control
	if len(c.options.Encodings) > 0 && m.request.Header.Get(acceptEncoding) == identity && r.get("Content-Encoding") == "" {
		r.Varies = append(r.Varies, acceptEncoding)
	}
}

// freshened returns the stored response with the fields of a 304 (RFC 9111 §3.2). A 304 with another entity tag updates no field
// (§4.3.4): it only confirms the stored response.
func (c *Cache) freshened(m *missRequest, began time.Time, before, header http.Header) *response {
	received := time.Now()
	update := &response{}
	if rfc9111.Validates(m.found.origin(), header) {
		update.addFields(before, header, c.options.kind())
	}
	if update.get("Date") == "" {
		update.add("Date", received.UTC().Format(http.TimeFormat))
	}
	r := *m.found
	r.Header = make([]string, 0, len(m.found.Header)+len(update.Header))
	for i := 0; i+1 < len(m.found.Header); i += 2 {
		if name := m.found.Header[i]; !rfc9111.Updates(name) || !hasField(update.Header, name) {
			r.add(name, m.found.Header[i+1])
		}
	}
	for i := 0; i+1 < len(update.Header); i += 2 {
		if name := update.Header[i]; rfc9111.Updates(name) {
			r.add(name, update.Header[i+1])
		}
	}
	r.dropClientFields(c.options.kind())
	r.Age = rfc9111.InitialAge(header, began, received)
	c.noteAround(m, &r, before)
	r.Varies = slices.Compact(slices.Sorted(slices.Values(slices.Concat(r.Varies, m.found.Varies))))
	r.setTerms(rfc9111.TermsOf(r.Status, r.termsHeader(before), received, c.options.defaults()))
	r.prepare()
	return &r
}

// dropClientFields removes the fields that by the current Cache-Control are for one client only. It may name stored fields as well as
// fields of a 304.
func (r *response) dropClientFields(kind rfc9111.Kind) {
	own := rfc9111.Own(r.header(), kind)
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
