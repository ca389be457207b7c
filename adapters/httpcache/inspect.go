package httpcache

import (
	"context"
	"net/http"
	"time"

	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/inspection"
)

// The methods of this file show what the cache has to those who operate it: package inspect makes pages of it. Their keys are those of the
// store: that of a request, and for the variants of a response keys derived from it.

// StoredResponse is the Value of a key in what Inspect reports.
type StoredResponse struct {
	Status   int           // 0: it is no response, but the list of the names in the Vary of the responses to the URL
	Header   http.Header   // as the handler set it, without what isn't stored
	Body     string        // as it was sent, also if it is compressed
	Age      time.Duration // when it was stored
	Lifetime time.Duration
	Vary     [][]string // of a list: the names by which responses vary
	Alias    string     // the key that has the response; "": this one
}

// Name returns the cache's name.
func (c *Cache) Name() string { return c.store.Name() }

// TierStats returns the Tiers of Stats.
func (c *Cache) TierStats() tiered.Stats { return c.store.Stats() }

// Inspect reports what the tiers have for a key of the store, as [tiered.Cache.Inspect] does. Values are of type [StoredResponse].
func (c *Cache) Inspect(ctx context.Context, key string) (inspection.Key, error) {
	k, err := c.store.Inspect(ctx, key)
	if err != nil {
		return k, c.wrap(err)
	}
	if k.Local != nil {
		k.Local.Value = readable(k.Local.Value)
	}
	if k.Remote != nil {
		for i := range k.Remote.Frames {
			k.Remote.Frames[i].Value = readable(k.Remote.Frames[i].Value)
		}
		if k.Remote.Foreign != nil {
			k.Remote.Foreign.Value = readable(k.Remote.Foreign.Value)
		}
	}
	return k, nil
}

// readable returns a stored value in the form that is shown.
func readable(v any) any {
	r, ok := v.(*response)
	if !ok || r == nil {
		return nil
	}
	s := StoredResponse{Status: r.Status, Header: make(http.Header), Body: string(r.Body), Age: r.Age, Lifetime: r.Lifetime, Alias: r.Alias}
	for i := 0; i+1 < len(r.Header); i += 2 {
		s.Header.Add(r.Header[i], r.Header[i+1])
	}
	if r.Index != nil {
		s.Vary = r.Index.Specs
	}
	return s
}

// InspectTag reports what is known of a tag, as [tiered.Cache.InspectTag] does.
func (c *Cache) InspectTag(ctx context.Context, tag string) (inspection.Tag, error) {
	y, err := c.store.InspectTag(ctx, tag)
	return y, c.wrap(err)
}

// Keys returns a page of the keys of the store, as [tiered.Cache.Keys] does.
func (c *Cache) Keys(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error) {
	p, err := c.store.Keys(ctx, prefix, cursor, n)
	return p, c.wrap(err)
}

// Tags returns a page of the tags, as [tiered.Cache.Tags] does. Those that begin with a NUL are the cache's own.
func (c *Cache) Tags(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error) {
	p, err := c.store.Tags(ctx, prefix, cursor, n)
	return p, c.wrap(err)
}

// HotKeys returns the keys that are read most, as [tiered.Cache.HotKeys] does.
func (c *Cache) HotKeys(n int) []inspection.HotKey { return c.store.HotKeys(n) }

// Events returns the last misses and loads, as [tiered.Cache.Events] does.
func (c *Cache) Events() []inspection.Event { return c.store.Events() }

// Servers returns the servers of Redis, as [tiered.Cache.Servers] does.
func (c *Cache) Servers() []inspection.Server { return c.store.Servers() }

// Delete removes what is stored under keys of the store, with all variants. The errors are those of Purge.
func (c *Cache) Delete(ctx context.Context, keys ...string) error {
	all := make([]string, 0, 2*len(keys))
	for _, key := range keys {
		all = append(all, key, partKey(key))
	}
	return c.wrap(c.store.Delete(ctx, all...))
}

// InvalidateTags is PurgeTags, under the name that it has in a tiered.Cache.
func (c *Cache) InvalidateTags(ctx context.Context, tags ...string) error {
	return c.PurgeTags(ctx, tags...)
}
