package httpcache

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

// errNotStored says to a load that what is stored stays.
var errNotStored = errors.New("httpcache: the response is not stored")

const (
	// hitForMissTTL is how long it is remembered that a key's response can't be stored.
	hitForMissTTL = 5 * time.Second
	// indexTTL is how long an index is kept after the variant that it was last made for. When half of that is all that is left
	// after a variant, the index is renewed.
	indexTTL = 24 * time.Hour
	// longest is a time that need not be told from a longer one.
	longest = 100 * 365 * 24 * time.Hour
	// least is the TTL of a response that is stale from the start, in the store, where 0 means not to store it.
	least = time.Millisecond
)

// loadResult is what a load for w ends with when the handler's run came to o.
func (c *Cache) loadResult(ctx context.Context, m *missRequest, e *tiered.Entry[*response], o outcome) (*response, error) {
	c.dropFormer(ctx, m, o)
	switch {
	case o.response != nil:
		return c.assignKey(ctx, m, e, o.response)
	case o.failed, e.State == tiered.Fresh, e.State == tiered.NotFound, e.Found && e.Value.Index != nil:
		return nil, errNotStored
	case !o.unstorable && e.Found && e.Value.usableStale(rfc9111.Older(e.Value.Age, e.Age)): // for what comes of accidents, too
		return nil, errNotStored
	case o.unstorable:
		e.Policy.NotFoundTTL = hitForMissTTL
		return nil, tiered.ErrNotFound
	}
	e.Policy.TTL = 0
	return nil, nil
}

// dropFormer removes what was purged softly with an index if it would be found again: where the new response isn't stored, or is kept
// for a shorter time. Else it stays, for a further purge may void the new one.
func (c *Cache) dropFormer(ctx context.Context, m *missRequest, o outcome) {
	if m.found == nil || m.forPart() || !o.unstorable && (o.response == nil || c.retention(o.response) >= c.retention(m.found)-m.residentTime) {
		return
	}
	if former := m.formerKeys(m.request.Header); len(former) > 0 {
		_ = c.store.Delete(ctx, former...) // it is queued if Redis doesn't answer
	}
}

// assignKey chooses the response's key: that of the load, whose result it is then; or, for the first one that varies, one in
// an index, which is the result.
func (c *Cache) assignKey(ctx context.Context, m *missRequest, e *tiered.Entry[*response], r *response) (*response, error) {
	names := r.vary()
	varies := len(names) > 0
	spec, renew := m.names, m.index != nil && m.indexLeft < c.retention(r)+indexTTL/2
	switch {
	case m.forPart() && (varies != (m.index != nil) || varies && !slices.Equal(names, m.names)):
		return nil, errNotStored
	case m.forPart(), m.index == nil && !varies: // where a part was asked for, the whole will do for the next such request
	case m.index == nil:
		i := newIndex(names)
		if e.Found && e.Value.Index != nil && e.State == tiered.Stale {
			i = e.Value.Index.successor(names)
		}
		c.storeUnder(ctx, m, i.variant(m.primary, names, m.request.Header), r)
		c.storeAlias(ctx, i, m, names, r)
		c.setIndexPolicy(e, r)
		e.Tags = c.tagsOf(m, r) // only the load's result is void if they were purged meanwhile
		return &response{Index: i, Lifetime: e.Policy.TTL}, nil
	case slices.Equal(names, m.names):
		c.storeAlias(ctx, m.index, m, names, r)
	case containsAll(m.names, names):
		// A handler may say what it answers by only where that counts: some compressors name Accept-Encoding only when they
		// compress. For other requests there is a better response, or will be (RFC 9111 §4.1): this one is for those like its own.
		c.storeAlias(ctx, m.index, m, m.names, r)
	default: // it stays at the load's key, or a purge meanwhile would miss it
		r.Select = m.index.variant(m.primary, names, m.request.Header)
		spec, renew = names, true
	}
	if renew {
		c.updateIndex(ctx, m, spec, r)
	}
	c.setPolicy(e, m, r)
	return r, nil
}

// setIndexPolicy has the store keep an index for longer than the variant, and than that which it replaces, also once it is purged
// softly.
func (c *Cache) setIndexPolicy(e *tiered.Entry[*response], variant *response) {
	e.Policy.TTL, e.Policy.StaleIfError = c.retention(variant)+indexTTL, least
	if e.Found && e.Value.Index != nil {
		e.Policy.TTL = max(e.Policy.TTL, e.Value.Lifetime-e.Age)
	}
}

// setPolicy has the store keep the response as its terms say.
func (c *Cache) setPolicy(e *tiered.Entry[*response], m *missRequest, r *response) {
	e.Policy.TTL, e.Policy.StaleWhileRevalidate, e.Policy.StaleIfError = c.storeTimes(r)
	e.Tags = c.tagsOf(m, r)
}

// storeTimes is for how long a response is fresh for the store, and for how long after that it may be served, or is kept to be
// validated.
func (c *Cache) storeTimes(r *response) (ttl, behind, keep time.Duration) {
	keep = max(r.StaleWhileRevalidate, r.StaleIfError)
	if r.origin() != (rfc9111.Validators{Date: r.get("Date")}) {
		keep = max(keep, c.options.Keep)
	}
	return max(r.freshFor(r.Age), least), r.StaleWhileRevalidate, keep
}

// retention is for how long the store keeps a response: its index must last as long.
func (c *Cache) retention(r *response) time.Duration {
	ttl, behind, keep := c.storeTimes(r)
	return min(ttl, longest) + min(max(behind, keep), longest)
}

// tagsOf are those that the response says it has, its groups, and that of its URL.
func (c *Cache) tagsOf(m *missRequest, r *response) []string {
	header := r.header()
	tags, _ := rfc9111.Tags(header)
	if lines := header["Cache-Groups"]; len(lines) > 0 {
		groups, _ := rfc9111.Groups(lines)
		tags = append(tags, groupTags(m.request, groups)...)
	}
	if c.tagged(m.request) {
		if tag := c.urlTag(m.request); tag != "" {
			tags = append(tags, tag)
		}
		c.tagging.Store(true)
	}
	return tags
}

// storeUnder stores the response under another key than the load's. If that fails the next request misses.
func (c *Cache) storeUnder(ctx context.Context, m *missRequest, key string, r *response) {
	_, _ = c.store.Refresh(ctx, key, func(_ context.Context, e *tiered.Entry[*response]) (*response, error) {
		c.setPolicy(e, m, r)
		return r, nil
	})
}

// storeAlias says under the language's key where the response is, if it is in one language.
func (c *Cache) storeAlias(ctx context.Context, i *index, m *missRequest, names []string, r *response) {
	key := i.languageKey(m.primary, names, m.request.Header, rfc9111.ContentLanguage(r.header()))
	if key == "" {
		return
	}
	alias := &response{Alias: i.variant(m.primary, names, m.request.Header)}
	_, _ = c.store.Refresh(ctx, key, func(_ context.Context, e *tiered.Entry[*response]) (*response, error) {
		e.Policy.TTL = max(r.freshFor(r.Age), least)
		return alias, nil
	})
}

// updateIndex makes the names the index's newest, and has it kept for longer than the variant, unless the index has been removed or is
// stale.
func (c *Cache) updateIndex(ctx context.Context, m *missRequest, names []string, r *response) {
	_, _ = c.store.Refresh(ctx, m.primary, func(_ context.Context, e *tiered.Entry[*response]) (*response, error) {
		if e.State != tiered.Fresh || e.Value.Index == nil || e.Value.Index.Name != m.index.Name {
			return nil, errNotStored
		}
		c.setIndexPolicy(e, r)
		return &response{Index: e.Value.Index.with(names), Lifetime: e.Policy.TTL}, nil
	})
}
