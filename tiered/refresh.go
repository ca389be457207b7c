package tiered

import (
	"context"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// maxRenewals limits a cache's concurrent background loads. Beyond it no load is begun: the next hit tries again.
const maxRenewals = 64

// refreshBehind starts a background load of those keys that have no flight yet, and doesn't wait for it. The keys must be the
// cache's own copies.
func (c *Cache[T]) refreshBehind(ctx context.Context, keys []keyRef[T], load func(context.Context, []*task[T]) error) {
	select {
	case c.renewals <- struct{}{}:
	default:
		return
	}
	fl := joinOptions[T]{Owner: new(inflight.Owner), Start: mono.Now(), Limit: c.policy.LoadTimeout, OwnedKeys: true, Size: len(keys)}
	var own []*flight[T]
	for _, k := range keys {
		if f, mine := c.keys.Join(ctx, k.Key, k.Hash, inflight.ForBackground, &fl); mine {
			own = append(own, f)
		}
	}
	if len(own) == 0 {
		<-c.renewals
		return
	}
	began := c.tags.Invalidations()
	for _, f := range own {
		f.State.began = began
	}
	c.stats.refreshes.Add(uint64(len(own)))
	c.startJob(ctx, fl.Owner, own, load)
}
