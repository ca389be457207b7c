package httpcache

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// around has the fields that handlers around the cache set before it. docs/http.md has the rules.
type around struct {
	vary    []string // the names in their Vary
	any     bool     // their Vary has a *
	control string   // their Cache-Control and CDN-Cache-Control, unchanged; "": none
	forbids bool     // these forbid to answer with another request's response
}

// aroundOf returns the around of the lines that they set for each field.
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

// allows reports whether a stored response may be served with these fields; and if not, whether they
// forbid every stored response.
//
// If they are the same as when it was stored, they were taken into account then: the handler may have replaced their Cache-Control.
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

// vary returns the names in a response's Vary, with those of handlers around the cache.
func (r *response) vary() []string {
	names, _ := rfc9111.Vary(r.header())
	if len(r.Varies) == 0 {
		return names
	}
	names = slices.Concat(names, r.Varies)
	slices.Sort(names)
	return slices.Compact(names)
}

// termsHeader returns the header that determines a freshened response's terms: with the fields about freshness that the handler leaves to
// those around the cache.
func (r *response) termsHeader(before http.Header) http.Header {
	h := r.header()
	for _, name := range []string{"Cache-Control", "Cdn-Cache-Control", "Expires"} {
		if len(h[name]) == 0 && len(before[name]) > 0 {
			h[name] = before[name]
		}
	}
	return h
}

// merges reports whether a stored field is merged with that of handlers around the cache.
func merges(name string) bool { return name == "Cache-Control" || rfc9111.Lists(name) }

// mergedWith returns the response for sending it with the fields that are already set: lists have the
// members of both.
func (r *response) mergedWith(lines func(name string) []string) *response {
	if r.precomputed != nil && !slices.ContainsFunc(r.precomputed.merged, func(name string) bool { return len(lines(name)) > 0 }) {
		return r
	}
	var merged []string
	for h := r.Header; len(h) > 1; {
		name, n := h[0], 2
		for n < len(h) && h[n] == name {
			n += 2
		}
		if merges(name) {
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
