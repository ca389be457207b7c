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
	// indexTTL is how long an index is kept. When half of it is over, the next variant renews it.
	indexTTL = 24 * time.Hour
	// least is the TTL of a response that is stale from the start, in the store, where 0 means not to store it.
	least = time.Millisecond
)

// settle is what a load for w ends with when the handler's run came to o.
func (c *Cache) settle(ctx context.Context, w *want, e *tiered.Entry[*response], o outcome) (*response, error) {
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

// keep finds the response's place: that of the load, whose result it is then; or, for the first one that varies, one in
// an index, which is the result.
func (c *Cache) keep(ctx context.Context, w *want, e *tiered.Entry[*response], r *response) (*response, error) {
	names := r.vary()
	varies := len(names) > 0
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
		keepIndex(e)
		e.Tags = c.tagsOf(w, r) // only the load's result is void if they were purged meanwhile
		return &response{Index: i}, nil
	case slices.Equal(names, w.names):
		if w.old {
			c.reindex(ctx, w, names)
		}
		c.putAlias(ctx, w.index, w, names, r)
	case containsAll(w.names, names):
		// A handler may say what it answers by only where that counts: some compressors name Accept-Encoding only when they
		// compress. For other requests there is a better response, or will be (RFC 9111 §4.1): this one is for those like its own.
		c.putAlias(ctx, w.index, w, w.names, r)
	default: // it stays at the load's key, or a purge meanwhile would miss it
		r.Select = w.index.variant(w.primary, names, w.request.Header)
		c.reindex(ctx, w, names)
	}
	c.policy(e, w, r)
	return r, nil
}

// keepIndex has the store keep an index, also once it is purged softly.
func keepIndex(e *tiered.Entry[*response]) { e.Policy.TTL, e.Policy.StaleIfError = indexTTL, least }

// policy has the store keep the response as its terms say.
func (c *Cache) policy(e *tiered.Entry[*response], w *want, r *response) {
	keep := max(r.Behind, r.IfError)
	if r.origin() != (rfc9111.Validators{Date: r.get("Date")}) {
		keep = max(keep, c.options.Keep)
	}
	e.Policy.TTL = max(r.left(r.Age), least)
	e.Policy.StaleWhileRevalidate, e.Policy.StaleIfError = r.Behind, keep
	e.Tags = c.tagsOf(w, r)
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

// reindex makes the names the index's newest, unless the index has been removed or is stale.
func (c *Cache) reindex(ctx context.Context, w *want, names []string) {
	_, _ = c.store.Refresh(ctx, w.primary, func(_ context.Context, e *tiered.Entry[*response]) (*response, error) {
		if e.State != tiered.Fresh || e.Value.Index == nil || e.Value.Index.Name != w.index.Name {
			return nil, errNotStored
		}
		keepIndex(e)
		return &response{Index: e.Value.Index.with(names)}, nil
	})
}
