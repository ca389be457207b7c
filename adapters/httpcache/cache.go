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

// maxBackground limits the background runs of a cache. Beyond it the next request tries again.
const maxBackground = 64

// Cache is an HTTP cache. Its methods may be called from any number of goroutines.
type Cache struct {
	options    Options
	keys       keyMaker
	store      *tiered.Cache[*response]
	stats      counters
	groups     collapseGroups
	hitForMiss *recentKeys // the responses to requests with Authorization aren't shared

	unreached *recentKeys // a background run didn't reach the cache
	failing   *recentKeys // the handler failed, and a stale response was served instead
	tagging   atomic.Bool // it has stored a response with the tag of its URL

	background chan struct{} // has an element for each background run
}

// New returns a new cache, or an error if an option is invalid. The caller must close the cache.
func New(o Options) (*Cache, error) {
	o, err := o.validated()
	if err != nil {
		return nil, err
	}
	responses := codec.Codec(responseCodec{codec.Msgpack})
	if len(o.SealKeys) > 0 {
		if responses, err = codec.Sealed(responses, o.SealKeys...); err != nil {
			return nil, fmt.Errorf("httpcache: Options.SealKeys: %w", err)
		}
	}
	store, err := tiered.New(tiered.Options[*response]{
		Name:    o.Name,
		Redis:   o.Redis,
		Codec:   responses,
		MaxCost: o.MaxCost,
		Cost:    (*response).cost,
		Logger:  o.Logger,
		// The handlers of requests run in any case, and runs in the background have a limit of their own.
		MaxLoads: -1,
		// Without jitter, since Cache-Control and Age say when a response is stale.
		Policy: tiered.Policy{Jitter: -1},
	})
	if err != nil {
		return nil, fmt.Errorf("httpcache: %w", err)
	}
	return &Cache{
		options: o, keys: newKeyMaker(&o), store: store,
		hitForMiss: newRecentKeys(), unreached: newRecentKeys(), failing: newRecentKeys(),
		background: make(chan struct{}, maxBackground),
	}, nil
}

// Purge removes the responses stored for GETs of r's URL and host, whatever r's method is: all variants, and all spellings of
// the path and the host (RFC 3986, section 6.2.2). It returns an error if Redis can't be reached: other processes may
// still have them then, and [tiered.ErrQueued] says that they are removed when Redis answers again. It is no error if
// Options.Key returns no key for r.
//
// r must have the scheme and the host with which requests arrive at the cache: a path alone is another URL. With Options.Private
// the responses are those for r's user, whose credentials r must have.
func (c *Cache) Purge(ctx context.Context, r *http.Request) error {
	return c.purge(ctx, r, c.store.Delete, c.store.InvalidateTags)
}

// SoftPurge makes stale the responses that Purge removes: they are served within their stale-while-revalidate and
// stale-if-error, or else validated, and a 304 makes them fresh again. Responses with neither these nor a validator count as removed.
// For a response that was still fresh these times count from the purge until the end of its freshness, and then from that. The errors
// are those of Purge.
func (c *Cache) SoftPurge(ctx context.Context, r *http.Request) error {
	return c.purge(ctx, r, c.store.Expire, c.store.ExpireTags)
}

// purge calls remove with the keys and the tags of responses to r's URL.
func (c *Cache) purge(ctx context.Context, r *http.Request, byKey, byTag func(context.Context, ...string) error) error {
	tagged := c.tagging.Load() || c.keys.tagged(r)
	var stored, tags []string
	for _, r := range c.keys.spellings(r) {
		for _, ofClient := range [2]bool{false, true} {
			if key, _ := c.keys.primary(r, ofClient); key != "" {
				stored = append(stored, key, partKey(key))
			}
		}
		if !tagged {
			continue
		}
		if tag := c.keys.urlTag(r); tag != "" {
			tags = append(tags, tag)
		}
	}
	return c.wrap(errors.Join(byKey(ctx, stored...), byTag(ctx, tags...)))
}

// PurgeTags removes the responses that have one of the tags in their Cache-Tag (separated by commas) or
// Surrogate-Key (by spaces). The errors are those of Purge.
func (c *Cache) PurgeTags(ctx context.Context, tags ...string) error {
	return c.wrap(c.store.InvalidateTags(ctx, tags...))
}

// SoftPurgeTags makes stale the responses that PurgeTags removes, see SoftPurge. All variants of a URL are validated
// if the first one had the tag. The errors are those of Purge.
func (c *Cache) SoftPurgeTags(ctx context.Context, tags ...string) error {
	return c.wrap(c.store.ExpireTags(ctx, tags...))
}

// Clear removes all responses of all caches of the Name. The errors are those of Purge.
func (c *Cache) Clear(ctx context.Context) error { return c.wrap(c.store.Clear(ctx)) }

// SoftClear makes all responses of all caches of the Name stale, see SoftPurge. The errors are those of Purge.
func (c *Cache) SoftClear(ctx context.Context) error { return c.wrap(c.store.ExpireAll(ctx)) }

func (c *Cache) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("httpcache: %w", err)
	}
	return nil
}

// Stats returns the cache's counters. In Tiers, a request that misses is counted more than once, since it looks up the response and then
// joins a load. A run of the handler whose response can't replace the stored one, or for which a hit-for-miss is stored,
// is counted as one of the LoadErrors there.
func (c *Cache) Stats() Stats {
	s := &c.stats
	return Stats{
		Hits:        s.hits.Load(),
		Stale:       s.stale.Load(),
		Validated:   s.validated.Load(),
		NotModified: s.notModified.Load(),
		Misses:      s.misses.Load(),
		Collapsed:   s.collapsed.Load(),
		Stored:      s.stored.Load(),
		Bypassed:    s.bypassed.Load(),
		Tiers:       c.store.Stats(),
	}
}

// Close ends stores and background runs, and frees the cache's memory. Its handlers continue to work
// uncached. Later calls wait for the first.
func (c *Cache) Close() error { return c.store.Close() }
