package httpcache

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

// Cache is a shared HTTP cache. Its methods may be called from any number of goroutines.
type Cache struct {
	options Options
	store   *tiered.Cache[*response]
	stats   counters
	crowds  crowds
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
		// A response says when it is stale, in Cache-Control and Age: no earlier, then.
		Policy: tiered.Policy{Jitter: -1},
	})
	if err != nil {
		return nil, fmt.Errorf("httpcache: %w", err)
	}
	return &Cache{options: o, store: store}, nil
}

// Purge removes the response stored for GETs of r's URL and host, whatever r's method. It returns an error if Redis
// can't be reached: then the response may still be there. A request that Options.Key has no key for is not an error.
func (c *Cache) Purge(ctx context.Context, r *http.Request) error {
	key := c.key(r)
	if key == "" {
		return nil
	}
	if err := c.store.Delete(ctx, key); err != nil {
		return fmt.Errorf("httpcache: %w", err)
	}
	return nil
}

// Close ends what the cache is storing and frees its memory. The handlers made of it go on, uncached. Later calls wait for
// the first.
func (c *Cache) Close() error { return c.store.Close() }

// Answer answers one exchange: from the store, or by running the handler. It returns when the answer is complete, and
// panics if the handler does.
func (c *Cache) Answer(x Exchange) {
	r := x.Request()
	use, why := rfc9111.RequestUse(r.Method, r.Header)
	key, reload := "", false
	if use != rfc9111.Pass {
		// A body has no meaning in a GET (RFC 9110 §9.3.1), but handlers may read it all the same.
		if key = c.key(r); key == "" || r.ContentLength != 0 {
			use, why = rfc9111.Pass, rfc9111.ForBypass
		}
	}
	switch use {
	case rfc9111.Pass:
		c.stats.bypassed.Add(1)
		c.pass(x, why)
		return
	case rfc9111.Reuse:
		switch c.hit(x, r, key) {
		case tiered.Fresh:
			c.stats.hits.Add(1)
			return
		case tiered.NotFound:
			reload = true // nobody waits for a response that will hardly be stored
		}
		why = rfc9111.ForMiss
	case rfc9111.Reload:
		reload = true
	}
	c.stats.misses.Add(1)
	if r.Method == http.MethodHead {
		c.pass(x, why)
		return
	}
	c.miss(x, r, key, reload, why)
}

// hit answers from the store, if there is a fresh response, and returns the state of what is there. NotFound: it is
// remembered that the response can't be stored.
func (c *Cache) hit(x Exchange, r *http.Request, key string) tiered.State {
	e, err := c.store.Lookup(r.Context(), key)
	if err != nil {
		return e.State
	}
	if !e.Value.fresh(e.Age) {
		return tiered.Stale
	}
	age := e.Value.Age + e.Age
	x.Serve(c.reply(r, e.Value, age, rfc9111.Status{Cache: c.options.Name, Hit: true, TTL: e.Value.Lifetime - age}))
	return tiered.Fresh
}

// pass runs the handler without recording what it answers.
func (c *Cache) pass(x Exchange, why rfc9111.Forward) {
	x.Run(&Recording{status: rfc9111.Status{Cache: c.options.Name, Forward: why}})
}

// maxKey is the length of the longest key that is kept as it is: any client chooses how long a URL is.
const maxKey = 1 << 10

// key returns the key of the GET for r's URL. A cut one is longer than those that are whole, and so never one of them.
func (c *Cache) key(r *http.Request) string {
	if r.Method != http.MethodGet {
		r = r.WithContext(r.Context())
		r.Method = http.MethodGet
	}
	key := c.options.Key(r)
	if len(key) > maxKey {
		return key[:maxKey] + keys.Digest(key)
	}
	return key
}
