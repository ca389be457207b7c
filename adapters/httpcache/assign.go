package httpcache

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

// errNotStored tells a load to keep the stored response.
var errNotStored = errors.New("httpcache: the response is not stored")

// runError is the error of a run, by which a load ends.
type runError struct{ error }

func (e *runError) Unwrap() error { return e.error }

const (
	// hitForMissTTL is how long the cache remembers that a key's response can't be stored.
	hitForMissTTL = 5 * time.Second
	// indexTTL is how long an index is kept after the variant for which it was last written. If a variant leaves less than half of
	// that, the index is written again.
	indexTTL = 24 * time.Hour
	// longest is a time that need not be distinguished from longer ones.
	longest = 100 * 365 * 24 * time.Hour
	// least is the TTL in the store of a response that is stale from the start: 0 would mean not to store it.
	least = time.Millisecond
)

// loadResult returns the result of a load for m, when the handler's run had the outcome o.
func (c *Cache) loadResult(ctx context.Context, m *missRequest, e *tiered.Entry[*response], o outcome) (*response, error) {
	c.dropFormer(ctx, m, o)
	switch {
	case o.err != nil:
		return nil, &runError{o.err}
	case o.response != nil:
		return c.assignKey(ctx, m, e, o.response)
	case o.failed, e.State == tiered.Fresh, e.State == tiered.NotFound, e.Found && e.Value.Index != nil:
		return nil, errNotStored
	case !o.unstorable && e.Found && e.Value.usableStale(rfc9111.Older(e.Value.Age, e.Age)): // also if the outcome is temporary
		return nil, errNotStored
	case o.unstorable:
		e.Policy.NotFoundTTL = hitForMissTTL
		return nil, tiered.ErrNotFound
	}
	e.Policy.TTL = 0
	return nil, nil
}

// dropFormer removes responses that were purged softly with an index if they would be found again: if the new response isn't
// stored, or is kept for a shorter time. Otherwise they stay, since another purge may remove the new one.
func (c *Cache) dropFormer(ctx context.Context, m *missRequest, o outcome) {
	if m.found == nil || m.forPart() || !o.unstorable && (o.response == nil || c.retention(o.response) >= c.retention(m.found)-m.residentTime) {
		return
	}
	if former := m.formerKeys(m.request.Header); len(former) > 0 {
		_ = c.store.Delete(ctx, former...) // it is queued if Redis doesn't answer
	}
}

// assignKey chooses the response's key: that of the load, which then returns the response; or, for the first variant, a key in
// an index, which the load returns.
func (c *Cache) assignKey(ctx context.Context, m *missRequest, e *tiered.Entry[*response], r *response) (*response, error) {
	names := r.vary()
	varies := len(names) > 0
	spec, renew := m.names, m.index != nil && m.indexLeft < c.retention(r)+indexTTL/2
	switch {
	case m.forPart() && (varies != (m.index != nil) || varies && !slices.Equal(names, m.names)):
		return nil, errNotStored
	case m.forPart(), m.index == nil && !varies: // for a part, the whole can answer the next such request
	case m.index == nil:
		i := newIndex(names)
		if e.Found && e.Value.Index != nil && e.State == tiered.Stale {
			i = e.Value.Index.successor(names)
		}
		c.storeUnder(ctx, m, i.variant(m.primary, names, m.request.Header), r)
		c.storeAlias(ctx, i, m, names, r)
		c.setIndexPolicy(e, r)
		e.Tags = c.tagsOf(m, r) // if they were purged meanwhile, only the load's result is invalid
		return &response{Index: i, Lifetime: e.Policy.TTL}, nil
	case slices.Equal(names, m.names):
		c.storeAlias(ctx, m.index, m, names, r)
	case containsAll(m.names, names):
		// A handler may set Vary only for some responses: some compressors name Accept-Encoding only when they
		// compress. Other requests have a better response, or will have (RFC 9111 §4.1): this one is for requests like its own.
		c.storeAlias(ctx, m.index, m, m.names, r)
	default: // it keeps the load's key: otherwise a purge meanwhile would miss it
		r.Select = m.index.variant(m.primary, names, m.request.Header)
		spec, renew = names, true
	}
	if renew {
		c.updateIndex(ctx, m, spec, r)
	}
	c.setPolicy(e, m, r)
	return r, nil
}

// setIndexPolicy makes the store keep an index for longer than the variant, and than the index which it replaces, also after a soft
// purge.
func (c *Cache) setIndexPolicy(e *tiered.Entry[*response], variant *response) {
	e.Policy.TTL, e.Policy.StaleIfError = c.retention(variant)+indexTTL, least
	if e.Found && e.Value.Index != nil {
		e.Policy.TTL = max(e.Policy.TTL, e.Value.Lifetime-e.Age)
	}
}

// setPolicy makes the store keep the response according to its terms.
func (c *Cache) setPolicy(e *tiered.Entry[*response], m *missRequest, r *response) {
	e.Policy.TTL, e.Policy.StaleWhileRevalidate, e.Policy.StaleIfError = c.storeTimes(r)
	e.Tags = c.tagsOf(m, r)
}

// storeTimes returns how long a response is fresh for the store, and how long after that it may be served, or is kept for
// validation.
func (c *Cache) storeTimes(r *response) (ttl, behind, keep time.Duration) {
	keep = max(r.StaleWhileRevalidate, r.StaleIfError)
	if r.origin() != (rfc9111.Validators{Date: r.get("Date")}) {
		keep = max(keep, c.options.Keep)
	}
	return max(r.freshFor(r.Age), least), r.StaleWhileRevalidate, keep
}

// retention returns how long the store keeps a response: its index must last as long.
func (c *Cache) retention(r *response) time.Duration {
	ttl, behind, keep := c.storeTimes(r)
	return min(ttl, longest) + min(max(behind, keep), longest)
}

// tagsOf returns the tags in the response's header, its groups, and the tag of its URL.
func (c *Cache) tagsOf(m *missRequest, r *response) []string {
	header := r.header()
	tags, _ := rfc9111.Tags(header)
	if lines := header["Cache-Groups"]; len(lines) > 0 {
		groups, _ := rfc9111.Groups(lines)
		tags = append(tags, groupTags(m.request, groups)...)
	}
	if c.keys.tagged(m.request) {
		if tag := c.keys.urlTag(m.request); tag != "" {
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

// storeAlias stores the response's key under the language's key, if it is in one language.
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

// updateIndex makes the names the index's newest spec, and keeps the index for longer than the variant, unless it has been removed or is
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
