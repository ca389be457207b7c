package tiered

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// Name returns the cache's name.
func (c *Cache[T]) Name() string { return c.name }

// TierStats is Stats. Caches of other packages that are made of tiers, such as httpcache.Cache, have it too, beside a Stats of their own.
func (c *Cache[T]) TierStats() Stats { return c.Stats() }

// Keys returns a page of about n of the keys that begin with the prefix, from Redis or, if the cache is in-process only, from memory.
// cursor is "", or the Next of the page before. n is 1 to 1,000.
//
// Redis has no index of keys. Keys reads all keys of all masters with SCAN, which the user must have the right to (+scan), a part with each
// call: at most 32 commands, each of which looks at 1,000 keys at most. So a page may be empty though others follow. A key that is there
// all the time is on at least one page, those that come or go meanwhile may be missing. Keys under which Redis only has a lease, or a value of
// another release, are listed too.
func (c *Cache[T]) Keys(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error) {
	if err := c.listable(n); err != nil {
		return inspection.Page{}, err
	}
	if c.remote != nil {
		return c.scan(ctx, c.remote.Keys.Value(""), prefix, cursor, n)
	}
	var names []string
	examined := 0
	c.local.Each(func(it *local.Item[T]) bool {
		examined++
		if it.Key > cursor && strings.HasPrefix(it.Key, prefix) {
			names = append(names, it.Key)
		}
		return true
	})
	return pageOf(names, n, examined), nil
}

// Tags returns a page of about n of the tags that begin with the prefix, as Keys does: those of which Redis has a record, or, if
// the cache is in-process only, this process. A tag's record is kept for a day, or longer if its values are.
func (c *Cache[T]) Tags(ctx context.Context, prefix, cursor string, n int) (inspection.Page, error) {
	if err := c.listable(n); err != nil {
		return inspection.Page{}, err
	}
	if c.remote != nil {
		return c.scan(ctx, c.remote.Keys.Tag(""), prefix, cursor, n)
	}
	names := c.tags.Names(func(tag string) bool { return tag > cursor && strings.HasPrefix(tag, prefix) })
	return pageOf(names, n, len(names)), nil
}

// maxPage is the largest page of a list.
const maxPage = 1_000

func (c *Cache[T]) listable(n int) error {
	if n < 1 || n > maxPage {
		return fmt.Errorf("tiered: a page of %d: want 1 to %d", n, maxPage)
	}
	return c.usable()
}

// scan returns the names that follow a kind's prefix in Redis's keys.
func (c *Cache[T]) scan(ctx context.Context, kind, prefix, cursor string, n int) (inspection.Page, error) {
	s, err := c.remote.Conn.Scan(ctx, redisconn.Pattern(kind+prefix), cursor, n)
	p := inspection.Page{Next: s.Next, Examined: s.Examined}
	for _, key := range s.Keys {
		if name := strings.TrimPrefix(key, kind); name != "" {
			p.Names = append(p.Names, name)
		}
	}
	return p, err
}

// pageOf returns the first n names. The cursor of the next page is the last of them.
func pageOf(names []string, n, examined int) inspection.Page {
	slices.Sort(names)
	p := inspection.Page{Names: names, Examined: examined}
	if len(names) > n {
		p.Names, p.Next = names[:n], names[n-1]
	}
	return p
}

// InspectTag reports what is known of a tag. It looks through the whole local tier for entries that have it.
func (c *Cache[T]) InspectTag(ctx context.Context, tag string) (inspection.Tag, error) {
	if err := c.usable(); err != nil {
		return inspection.Tag{}, err
	}
	y := inspection.Tag{Tag: tag}
	states, err := c.tags.Look(ctx, []string{tag})
	if err != nil {
		y.Err = err
	} else if t := states.Tags[0]; t != nil {
		y.Known, y.Invalidations, y.Expiry, y.TTL = true, t.Seq, t.Expiry, states.TTLs[0]
	}
	y.Count = states.Count
	c.local.Each(func(it *local.Item[T]) bool {
		if slices.Contains(it.Record.Tags, tag) {
			y.Local = append(y.Local, it.Key)
		}
		return len(y.Local) < 100
	})
	slices.Sort(y.Local)
	return y, nil
}

// HotKeys returns the n keys of the local tier that are read most, the most first. It is an estimate from a sample of up to 4,096 hits, of
// which each part of the cache takes about one a second, from the first call on until ten minutes after the last one. So the first call
// returns nothing, and keys that the local tier doesn't hold, or that are always read from Redis, are missing.
func (c *Cache[T]) HotKeys(n int) []inspection.HotKey {
	all := c.local.Sample(watchedFor)
	slices.SortFunc(all, func(a, b local.Hot) int { return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Key, b.Key)) })
	hot := make([]inspection.HotKey, min(max(n, 0), len(all)))
	for i := range hot {
		hot[i] = inspection.HotKey(all[i])
	}
	return hot
}

// Servers returns the servers of the cache's Redis with the streams of invalidations from them, in the order of their addresses; none if
// the cache is in-process only. It sends nothing to Redis. With PubSub a Cluster has one stream for all its servers.
func (c *Cache[T]) Servers() (all []inspection.Server) {
	if c.redis == nil {
		return nil
	}
	for _, p := range c.redis.streams.Proofs() {
		all = append(all, inspection.Server{Addr: p.Addr, Watched: p.Watched, Proof: p.Age, Proved: p.Proved, ProvedFor: p.ProvedFor, Err: p.Err})
	}
	return all
}
