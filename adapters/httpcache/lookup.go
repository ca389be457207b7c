package httpcache

import (
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

// lookup looks up the stored response for a request. The candidate has only its primary key before.
func (c *Cache) lookup(cand *candidate, view *requestView) {
	cand.key = cand.primary
	e, err := c.store.Lookup(view.ctx, cand.primary)
	switch {
	case err != nil:
		cand.hitForMiss = e.State == tiered.NotFound
		return
	case e.Value.Index == nil:
		if e.Value.Size == 0 { // otherwise another program wrote it
			cand.accept(&e, view)
		}
		return
	}
	if e.State == tiered.Stale { // the next response begins an index
		cand.staleIndex = e.Value.Index
		c.lookupSoftPurged(cand, view, cand.staleIndex)
		if cand.found == nil {
			c.lookupSoftPurged(cand, view, cand.staleIndex.before())
		}
		return
	}
	r := view.request()
	cand.index, cand.indexLeft = e.Value.Index, e.Value.Lifetime-e.Age
	for i, names := range cand.index.Specs {
		key := cand.index.variant(cand.primary, names, r.Header)
		if i == 0 {
			cand.key, cand.names = key, names
		}
		if e, err := c.store.Lookup(view.ctx, key); err == nil && cand.index.selects(cand.primary, e.Value, r) && cand.accept(&e, view) {
			cand.key, cand.names = key, names
			return
		} else if i == 0 {
			cand.hitForMiss = e.State == tiered.NotFound
		}
	}
	if c.lookupSoftPurged(cand, view, cand.index.before()); cand.found == nil {
		c.lookupLanguage(cand, view)
	}
}

// lookupSoftPurged looks up a response that was purged softly with the index, which may be nil. The key for a new response doesn't change.
func (c *Cache) lookupSoftPurged(cand *candidate, view *requestView, i *index) {
	if i == nil {
		return
	}
	r := view.request()
	for _, names := range i.Specs {
		e, err := c.store.Lookup(view.ctx, i.variant(cand.primary, names, r.Header))
		if err == nil && i.selects(cand.primary, e.Value, r) && cand.accept(&e, view) {
			cand.freshInStore, cand.softPurged = false, true
			return
		}
	}
}

// selects reports whether the response under a key of the index may be served to such a request.
func (i *index) selects(primary string, v *response, r *http.Request) bool {
	if v.Index != nil || v.Size > 0 || v.Select == "" {
		return v.Index == nil && v.Size == 0
	}
	return v.Select == i.variant(primary, v.vary(), r.Header)
}

// lookupLanguage looks up a response in the language that the request prefers to all others: no handler can have a better one.
func (c *Cache) lookupLanguage(cand *candidate, view *requestView) {
	r := view.request()
	if len(r.Header[acceptLanguage]) == 0 {
		return
	}
	language, ok := rfc9111.FirstLanguage(r.Header)
	if !ok {
		return
	}
	for _, names := range cand.index.Specs {
		key := cand.index.languageKey(cand.primary, names, r.Header, language)
		if key == "" {
			continue
		}
		alias, err := c.store.Lookup(view.ctx, key)
		if err != nil || alias.Value.Alias == "" {
			continue
		}
		e, err := c.store.Lookup(view.ctx, alias.Value.Alias)
		if err == nil && e.State == tiered.Fresh && e.Value.inLanguage(language) && e.Value.freshFor(rfc9111.Older(e.Value.Age, e.Age)) > 0 && cand.accept(&e, view) {
			return // key and names stay those of the request, for a new response
		}
	}
}

// accept accepts the found response if it may be served to the request. A request with Authorization gets a shared response only
// if that allows it (RFC 9111 §3.5).
func (cand *candidate) accept(e *tiered.Entry[*response], view *requestView) bool {
	if e.Value.Alias != "" || view.has(rfc9111.RelevantUser) && cand.needsShared(view.r) && e.Value.Flags&shared == 0 {
		return false
	}
	if ok, forbidden := view.around(cand.private).allows(e.Value); !ok {
		cand.forbidden, cand.rejected = forbidden, true
		return false
	}
	cand.found, cand.age, cand.residentTime, cand.freshInStore, cand.hitForMiss = e.Value, rfc9111.Older(e.Value.Age, e.Age), e.Age, e.State == tiered.Fresh, false
	cand.softPurged = e.State == tiered.Stale && cand.found.freshFor(cand.age) > 0
	return true
}

// inLanguage reports whether it is a whole response in the language, and all names in its Vary are in its key.
func (r *response) inLanguage(language string) bool {
	return r.Index == nil && r.Size == 0 && r.Select == "" && rfc9111.ContentLanguage(r.header()) == language
}

// lookupPart looks up a part of the response that covers the requested one, or the whole, which the handler returned
// for a range request.
func (c *Cache) lookupPart(cand candidate, view *requestView) (candidate, bool) {
	cand.key, cand.found, cand.hitForMiss = partKey(cand.key), nil, false
	e, err := c.store.Lookup(view.ctx, cand.key)
	if err != nil || e.Value.Index != nil || e.Value.Select != "" || !cand.accept(&e, view) {
		return cand, false
	}
	return cand, cand.found.Size == 0 || cand.found.covers(view.r)
}
