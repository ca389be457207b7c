package httpcache

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// around is what handlers around the cache said of an answer before the cache was asked for it. docs/http.md has the rules.
type around struct {
	vary    []string // what they say that it varies by
	any     bool     // by anything
	control string   // their Cache-Control and CDN-Cache-Control, as they are; "": none
	forbids bool     // these forbid that another request's response is the answer
}

// aroundOf returns it, of the lines that they set of each field.
func aroundOf(lines func(name string) []string, private bool) (a around) {
	if vary := lines("Vary"); len(vary) > 0 {
		a.vary, a.any = rfc9111.Vary(http.Header{"Vary": vary})
	}
	control, targeted := lines("Cache-Control"), lines("Cdn-Cache-Control")
	if len(control)+len(targeted) > 0 {
		a.control = strings.Join(control, "\n") + "\x00" + strings.Join(targeted, "\n")
		a.forbids = rfc9111.Forbids(control, targeted, private)
	}
	return a
}

// around returns what handlers around the cache have said of the answer.
func (view *requestView) around(private bool) *around {
	if !view.aroundKnown {
		view.aroundKnown, view.aroundFields = true, aroundOf(view.x.Around, private)
	}
	return &view.aroundFields
}

// allows reports whether a stored response may be an answer of which handlers around the cache say this; and if not, whether they
// forbid any but the handler's own.
//
// Where they say the same as when it was recorded, that has been counted: the handler may have replaced their Cache-Control.
func (a *around) allows(r *response) (ok, forbidden bool) {
	switch {
	case a.any, a.forbids && a.control != r.Around:
		return false, true
	case len(a.vary) == 0:
		return true, false
	}
	names := r.vary()
	return containsAll(names, a.vary), false
}

func containsAll(set, list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(set, s) })
}

// noteAround remembers with a response to w what handlers around the cache said of it, and what it varies by without saying so:
// where Options.Encodings says that the handler compresses, a response that isn't compressed because the request took no coding
// is for no request that takes one. Some compressors say so only when they compress.
func (c *Cache) noteAround(m *missRequest, r *response, before http.Header) {
	a := aroundOf(func(name string) []string { return before[name] }, m.private)
	r.Varies, r.Around = a.vary, a.control
	if len(c.options.Encodings) > 0 && m.request.Header.Get(acceptEncoding) == identity && r.get("Content-Encoding") == "" {
		r.Varies = append(r.Varies, acceptEncoding)
	}
}

// vary returns the names of the fields that a response varies by, with those that handlers around the cache named.
func (r *response) vary() []string {
	names, _ := rfc9111.Vary(r.header())
	if len(r.Varies) == 0 {
		return names
	}
	names = slices.Concat(names, r.Varies)
	slices.Sort(names)
	return slices.Compact(names)
}

// termsHeader is the header by which a freshened response is judged: with the fields about freshness that the handler leaves to those
// around the cache.
func (r *response) termsHeader(before http.Header) http.Header {
	h := r.header()
	for _, name := range []string{"Cache-Control", "Cdn-Cache-Control", "Expires"} {
		if len(h[name]) == 0 && len(before[name]) > 0 {
			h[name] = before[name]
		}
	}
	return h
}

// mergedWith returns the response as it is to be sent in an answer that has fields already: those that are lists have the
// members of both.
func (r *response) mergedWith(lines func(name string) []string) *response {
	if r.precomputed != nil && !r.precomputed.hasLists {
		return r
	}
	var merged []string
	for h := r.Header; len(h) > 1; {
		name, n := h[0], 2
		for n < len(h) && h[n] == name {
			n += 2
		}
		if name == "Cache-Control" || rfc9111.Lists(name) {
			if others := lines(name); len(others) > 0 {
				if merged == nil {
					merged = append(make([]string, 0, len(r.Header)+8), r.Header[:len(r.Header)-len(h)]...)
				}
				stored := make([]string, 0, n/2)
				for i := 1; i < n; i += 2 {
					stored = append(stored, h[i])
				}
				for _, line := range rfc9111.Merged(name, others, stored) {
					merged = append(merged, name, line)
				}
				h = h[n:]
				continue
			}
		}
		if merged != nil {
			merged = append(merged, h[:n]...)
		}
		h = h[n:]
	}
	if merged == nil {
		return r
	}
	copied := *r
	copied.Header, copied.precomputed = merged, nil
	return &copied
}
