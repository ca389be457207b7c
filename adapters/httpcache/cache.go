package httpcache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

// Cache is a shared HTTP cache. Its methods may be called from any number of goroutines.
type Cache struct {
	options    Options
	store      *tiered.Cache[*response]
	stats      counters
	groups     collapseGroups
	hitForMiss *recentKeys // the responses to requests with Authorization aren't for all

	unreached *recentKeys // a run behind a request didn't reach the cache
	failing   *recentKeys // the handler failed, and a stale response was served in its place
	tagging   atomic.Bool // it has stored what has the tag of its URL

	background chan struct{} // runs behind requests, one each
}

// New makes a cache. It fails if an option is wrong. The cache must be closed.
func New(o Options) (*Cache, error) {
	o, err := o.validated()
	if err != nil {
		return nil, err
	}
	store, err := tiered.New(tiered.Options[*response]{
		Name:    o.Name,
		Redis:   o.Redis,
		Codec:   responseCodec{codec.Msgpack},
		MaxCost: o.MaxCost,
		Cost:    (*response).cost,
		Logger:  o.Logger,
		// A response says when it is stale, in Cache-Control and Age: no earlier, then.
		Policy: tiered.Policy{Jitter: -1},
	})
	if err != nil {
		return nil, fmt.Errorf("httpcache: %w", err)
	}
	return &Cache{options: o, store: store, hitForMiss: newRecentKeys(), unreached: newRecentKeys(), failing: newRecentKeys(),
		background: make(chan struct{}, maxBackground)}, nil
}

// Purge removes the responses stored for GETs of r's URL and host, whatever r's method, whatever they vary by, and however
// the path and the host are spelled (RFC 3986, section 6.2.2). It returns an error if Redis can't be reached: then they may
// still be there for other processes, and [tiered.ErrQueued] says that they are removed when Redis answers again. A request
// that Options.Key has no key for is not an error.
//
// A request that is made for it has the scheme and the host with which requests arrive at the cache: a path alone is another URL.
func (c *Cache) Purge(ctx context.Context, r *http.Request) error {
	return c.purge(ctx, r, c.store.Delete, c.store.InvalidateTags)
}

// SoftPurge makes the responses stale that Purge removes: they are served for as long as their stale-while-revalidate and
// stale-if-error say, else validated, and a 304 makes them fresh again. What has neither these nor a validator is as good as removed.
// For a response that was still fresh these times count from the purge until the end of its freshness, and then from that. Errors
// are those of Purge.
func (c *Cache) SoftPurge(ctx context.Context, r *http.Request) error {
	return c.purge(ctx, r, c.store.Expire, c.store.ExpireTags)
}

// purge does something with the keys and the tags that responses to r's URL have.
func (c *Cache) purge(ctx context.Context, r *http.Request, byKey, byTag func(context.Context, ...string) error) error {
	tagged := c.tagging.Load() || c.tagged(r)
	var stored, tags []string
	for _, r := range c.spellings(r) {
		if key, _ := c.primary(r); key != "" {
			stored = append(stored, key, partKey(key))
		}
		if !tagged {
			continue
		}
		if tag := c.urlTag(r); tag != "" {
			tags = append(tags, tag)
		}
	}
	return c.wrap(errors.Join(byKey(ctx, stored...), byTag(ctx, tags...)))
}

// PurgeTags removes the responses that have one of the tags, which are those in their Cache-Tag (separated by commas) or
// Surrogate-Key (by spaces). Errors are those of Purge.
func (c *Cache) PurgeTags(ctx context.Context, tags ...string) error {
	return c.wrap(c.store.InvalidateTags(ctx, tags...))
}

// SoftPurgeTags makes the responses stale that PurgeTags removes, see SoftPurge. Of responses to one URL that vary all are validated
// if the first one had the tag. Errors are those of Purge.
func (c *Cache) SoftPurgeTags(ctx context.Context, tags ...string) error {
	return c.wrap(c.store.ExpireTags(ctx, tags...))
}

// Clear removes all responses of all caches of the Name. Errors are those of Purge.
func (c *Cache) Clear(ctx context.Context) error { return c.wrap(c.store.Clear(ctx)) }

// SoftClear makes all responses of all caches of the Name stale, see SoftPurge. Errors are those of Purge.
func (c *Cache) SoftClear(ctx context.Context) error { return c.wrap(c.store.ExpireAll(ctx)) }

func (c *Cache) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("httpcache: %w", err)
	}
	return nil
}

// Close ends what the cache is storing, or asking handlers for behind, and frees its memory. The handlers made of it go on,
// uncached. Later calls wait for the first.
func (c *Cache) Close() error { return c.store.Close() }
