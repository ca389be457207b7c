package httpcache

import (
	"net/http"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

// place is where the response to a request is stored, or will be, with what is there.
type place struct {
	primary string
	private bool // it is one user's
	key     string
	index   *index   // nil: the responses aren't known to vary
	names   []string // what those at key vary by

	indexLeft time.Duration // for how long the index is kept
	stale     *index        // it was purged softly; nil: it wasn't, or there is none

	found *response // nil: none that the request may have
	age   time.Duration
	since time.Duration // how long it has been stored
	fresh bool          // for the store
	// expired: it was purged softly, before its time.
	expired bool
	// What was found isn't for an answer of which handlers around the cache say what they do; forbidden: nor is any other.
	rejected, forbidden bool

	refused bool // it is remembered that the response can't be stored
}

// find looks for what is stored for a request, at a place that has only a primary key as yet.
func (c *Cache) find(p *place, q *inquiry) {
	p.key = p.primary
	e, err := c.store.Lookup(q.ctx, p.primary)
	switch {
	case err != nil:
		p.refused = e.State == tiered.NotFound
		return
	case e.Value.Index == nil:
		if e.Value.Size == 0 { // else somebody put it there
			p.take(&e, q)
		}
		return
	}
	if e.State == tiered.Stale { // the next response begins an index
		p.stale = e.Value.Index
		c.findOld(p, q, p.stale)
		if p.found == nil {
			c.findOld(p, q, p.stale.before())
		}
		return
	}
	r := q.request()
	p.index, p.indexLeft = e.Value.Index, e.Value.Lifetime-e.Age
	for i, names := range p.index.Specs {
		key := p.index.variant(p.primary, names, r.Header)
		if i == 0 {
			p.key, p.names = key, names
		}
		if e, err := c.store.Lookup(q.ctx, key); err == nil && p.index.selects(p.primary, e.Value, r) && p.take(&e, q) {
			p.key, p.names = key, names
			return
		} else if i == 0 {
			p.refused = e.State == tiered.NotFound
		}
	}
	if c.findOld(p, q, p.index.before()); p.found == nil {
		c.findLanguage(p, q)
	}
}

// findOld looks for a response that was purged softly with the index, which may be nil. The place of a new one stays what it is.
func (c *Cache) findOld(p *place, q *inquiry, i *index) {
	if i == nil {
		return
	}
	r := q.request()
	for _, names := range i.Specs {
		e, err := c.store.Lookup(q.ctx, i.variant(p.primary, names, r.Header))
		if err == nil && i.selects(p.primary, e.Value, r) && p.take(&e, q) {
			p.fresh, p.expired = false, true
			return
		}
	}
}

// former returns the keys of responses that were purged softly with an index and that a new one, to the same request, replaces.
func (p *place) former(request http.Header) (list []string) {
	old := []*index{p.stale, nil}
	if p.stale != nil {
		old[1] = p.stale.before()
	} else if p.index != nil {
		old[1] = p.index.before()
	}
	for _, i := range old {
		if i == nil {
			continue
		}
		for _, names := range i.Specs {
			list = append(list, i.variant(p.primary, names, request))
		}
	}
	return list
}

// selects answers whether what is in a place of the index is a response for such a request.
func (i *index) selects(primary string, v *response, r *http.Request) bool {
	if v.Index != nil || v.Size > 0 || v.Select == "" {
		return v.Index == nil && v.Size == 0
	}
	return v.Select == i.variant(primary, v.vary(), r.Header)
}

// findLanguage looks for a response in the language that the request prefers to all others: no handler has a better one.
func (c *Cache) findLanguage(p *place, q *inquiry) {
	r := q.request()
	if len(r.Header[acceptLanguage]) == 0 {
		return
	}
	language, ok := rfc9111.FirstLanguage(r.Header)
	if !ok {
		return
	}
	for _, names := range p.index.Specs {
		key := p.index.languageKey(p.primary, names, r.Header, language)
		if key == "" {
			continue
		}
		alias, err := c.store.Lookup(q.ctx, key)
		if err != nil || alias.Value.Alias == "" {
			continue
		}
		e, err := c.store.Lookup(q.ctx, alias.Value.Alias)
		if err == nil && e.State == tiered.Fresh && e.Value.is(language) && e.Value.left(rfc9111.Older(e.Value.Age, e.Age)) > 0 && p.take(&e, q) {
			return // key and names stay those of the request: that is where a new response goes
		}
	}
}

// take takes what was found, if the request may have it. Who authenticates gets what is for all only if the response says so
// (RFC 9111 §3.5).
func (p *place) take(e *tiered.Entry[*response], q *inquiry) bool {
	if e.Value.Alias != "" || q.heed(rfc9111.HeedsUser) && p.barred(q.r) && e.Value.Flags&shared == 0 {
		return false
	}
	if ok, forbidden := q.around(p.private).admits(e.Value); !ok {
		p.forbidden, p.rejected = forbidden, true
		return false
	}
	p.found, p.age, p.since, p.fresh, p.refused = e.Value, rfc9111.Older(e.Value.Age, e.Age), e.Age, e.State == tiered.Fresh, false
	p.expired = e.State == tiered.Stale && p.found.left(p.age) > 0
	return true
}

// barred answers whether the request may only have what says that it is for all.
func (p *place) barred(r *http.Request) bool { return !p.private && len(r.Header["Authorization"]) > 0 }

// is answers whether it is a whole response in the language, and varies by nothing that its place isn't for.
func (r *response) is(language string) bool {
	return r.Index == nil && r.Size == 0 && r.Select == "" && rfc9111.ContentLanguage(r.header()) == language
}

// findPart looks for a part of the response that has all that a request asks for, or for the whole, which the handler gave
// to a request for a part.
func (c *Cache) findPart(p place, q *inquiry) (place, bool) {
	p.key, p.found, p.refused = partKey(p.key), nil, false
	e, err := c.store.Lookup(q.ctx, p.key)
	if err != nil || e.Value.Index != nil || e.Value.Select != "" || !p.take(&e, q) {
		return p, false
	}
	return p, p.found.Size == 0 || p.found.covers(q.r)
}

// left is for how long what was found is fresh; less than 0: since when it is stale.
func (p *place) left() time.Duration {
	if p.found == nil {
		return 0
	}
	if left := p.found.left(p.age); !p.expired || left < 0 {
		return left
	}
	return 0
}

// decide says what to do for a request with what was found.
func (p *place) decide(d rfc9111.Directives) rfc9111.Decision {
	t := p.found.terms()
	if p.expired {
		t.Lifetime = min(t.Lifetime, p.age)
	}
	return rfc9111.Decide(t, p.age, d)
}
