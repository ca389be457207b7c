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
	// refusedTTL is how long it is remembered that a key's response can't be stored.
	refusedTTL = 5 * time.Second
	// indexTTL is how long an index is kept after the variant that it was last made for. When half of that is all that is left
	// after a variant, the index is renewed.
	indexTTL = 24 * time.Hour
	// longest is a time that need not be told from a longer one.
	longest = 100 * 365 * 24 * time.Hour
	// least is the TTL of a response that is stale from the start, in the store, where 0 means not to store it.
	least = time.Millisecond
)

// settle is what a load for w ends with when the handler's run came to o.
func (c *Cache) settle(ctx context.Context, w *want, e *tiered.Entry[*response], o outcome) (*response, error) {
	c.dropFormer(ctx, w, o)
	switch {
	case o.response != nil:
		return c.keep(ctx, w, e, o.response)
	case o.failed, e.State == tiered.Fresh, e.State == tiered.NotFound, e.Found && e.Value.Index != nil:
		return nil, errNotStored
	case !o.refused && e.Found && e.Value.standsIn(rfc9111.Older(e.Value.Age, e.Age)): // for what comes of accidents, too
		return nil, errNotStored
	case o.refused:
		e.Policy.NotFoundTTL = refusedTTL
		return nil, tiered.ErrNotFound
	}
	e.Policy.TTL = 0
	return nil, nil
}

// dropFormer removes what was purged softly with an index if it would be found again: where the new response isn't stored, or is kept
// for a shorter time. Else it stays, for a further purge may void the new one.
func (c *Cache) dropFormer(ctx context.Context, w *want, o outcome) {
	if w.found == nil || w.part() || !o.refused && (o.response == nil || c.retention(o.response) >= c.retention(w.found)-w.since) {
		return
	}
	if former := w.former(w.request.Header); len(former) > 0 {
		_ = c.store.Delete(ctx, former...) // it is queued if Redis doesn't answer
	}
}

// keep finds the response's place: that of the load, whose result it is then; or, for the first one that varies, one in
// an index, which is the result.
func (c *Cache) keep(ctx context.Context, w *want, e *tiered.Entry[*response], r *response) (*response, error) {
	names := r.vary()
	varies := len(names) > 0
	spec, renew := w.names, w.index != nil && w.indexLeft < c.retention(r)+indexTTL/2
	switch {
	case w.part() && (varies != (w.index != nil) || varies && !slices.Equal(names, w.names)):
		return nil, errNotStored
	case w.part(), w.index == nil && !varies: // where a part was asked for, the whole will do for the next such request
	case w.index == nil:
		i := newIndex(names)
		if e.Found && e.Value.Index != nil && e.State == tiered.Stale {
			i = e.Value.Index.successor(names)
		}
		c.put(ctx, w, i.variant(w.primary, names, w.request.Header), r)
		c.putAlias(ctx, i, w, names, r)
		c.keepIndex(e, r)
		e.Tags = c.tagsOf(w, r) // only the load's result is void if they were purged meanwhile
		return &response{Index: i, Lifetime: e.Policy.TTL}, nil
	case slices.Equal(names, w.names):
		c.putAlias(ctx, w.index, w, names, r)
	case containsAll(w.names, names):
		// A handler may say what it answers by only where that counts: some compressors name Accept-Encoding only when they
		// compress. For other requests there is a better response, or will be (RFC 9111 §4.1): this one is for those like its own.
		c.putAlias(ctx, w.index, w, w.names, r)
	default: // it stays at the load's key, or a purge meanwhile would miss it
		r.Select = w.index.variant(w.primary, names, w.request.Header)
		spec, renew = names, true
	}
	if renew {
		c.reindex(ctx, w, spec, r)
	}
	c.policy(e, w, r)
	return r, nil
}

// keepIndex has the store keep an index for longer than the variant, and than that which it replaces, also once it is purged
// softly.
func (c *Cache) keepIndex(e *tiered.Entry[*response], variant *response) {
	e.Policy.TTL, e.Policy.StaleIfError = c.retention(variant)+indexTTL, least
	if e.Found && e.Value.Index != nil {
		e.Policy.TTL = max(e.Policy.TTL, e.Value.Lifetime-e.Age)
	}
}

// policy has the store keep the response as its terms say.
func (c *Cache) policy(e *tiered.Entry[*response], w *want, r *response) {
	e.Policy.TTL, e.Policy.StaleWhileRevalidate, e.Policy.StaleIfError = c.kept(r)
	e.Tags = c.tagsOf(w, r)
}

// kept is for how long a response is fresh for the store, and for how long after that it may be served, or is kept to be
// validated.
func (c *Cache) kept(r *response) (ttl, behind, keep time.Duration) {
	keep = max(r.Behind, r.IfError)
	if r.origin() != (rfc9111.Validators{Date: r.get("Date")}) {
		keep = max(keep, c.options.Keep)
	}
	return max(r.left(r.Age), least), r.Behind, keep
}

// retention is for how long the store keeps a response: its index must last as long.
func (c *Cache) retention(r *response) time.Duration {
	ttl, behind, keep := c.kept(r)
	return min(ttl, longest) + min(max(behind, keep), longest)
}

// tagsOf are those that the response says it has, its groups, and that of its URL.
func (c *Cache) tagsOf(w *want, r *response) []string {
	header := r.header()
	tags, _ := rfc9111.Tags(header)
	if lines := header["Cache-Groups"]; len(lines) > 0 {
		groups, _ := rfc9111.Groups(lines)
		tags = append(tags, groupTags(w.request, groups)...)
	}
	if c.tagged(w.request) {
		if tag := c.urlTag(w.request); tag != "" {
			tags = append(tags, tag)
		}
		c.tagging.Store(true)
	}
	return tags
}

// put stores the response under another key than the load's. If that fails the next request misses.
func (c *Cache) put(ctx context.Context, w *want, key string, r *response) {
	_, _ = c.store.Refresh(ctx, key, func(_ context.Context, e *tiered.Entry[*response]) (*response, error) {
		c.policy(e, w, r)
		return r, nil
	})
}

// putAlias says under the language's key where the response is, if it is in one language.
func (c *Cache) putAlias(ctx context.Context, i *index, w *want, names []string, r *response) {
	key := i.languageKey(w.primary, names, w.request.Header, rfc9111.ContentLanguage(r.header()))
	if key == "" {
		return
	}
	alias := &response{Alias: i.variant(w.primary, names, w.request.Header)}
	_, _ = c.store.Refresh(ctx, key, func(_ context.Context, e *tiered.Entry[*response]) (*response, error) {
		e.Policy.TTL = max(r.left(r.Age), least)
		return alias, nil
	})
}

// reindex makes the names the index's newest, and has it kept for longer than the variant, unless the index has been removed or is
// stale.
func (c *Cache) reindex(ctx context.Context, w *want, names []string, r *response) {
	_, _ = c.store.Refresh(ctx, w.primary, func(_ context.Context, e *tiered.Entry[*response]) (*response, error) {
		if e.State != tiered.Fresh || e.Value.Index == nil || e.Value.Index.Name != w.index.Name {
			return nil, errNotStored
		}
		c.keepIndex(e, r)
		return &response{Index: e.Value.Index.with(names), Lifetime: e.Policy.TTL}, nil
	})
}
