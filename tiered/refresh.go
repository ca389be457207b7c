package tiered

import (
	"cmp"
	"context"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// maxRenewals limits a cache's concurrent background loads. Beyond it no load is begun: the next hit tries again.
const maxRenewals = 64

// Refresh loads the value even if one is cached, and stores it in both tiers. The loader gets the cached value as e.Value. Callers
// that refresh a key at the same time share one load, which supersedes a load that GetOrLoad began earlier. If the source no longer
// has a value, the cached one is removed; if the load fails, it stays. Refresh returns the same errors as GetOrLoad.
func (c *Cache[T]) Refresh(ctx context.Context, key string, load Loader[T]) (T, error) {
	if load == nil || c.wrong != nil {
		var none T
		return none, cmp.Or(c.wrong, errNoLoader)
	}
	return c.load(ctx, local.Miss{Key: key, Hash: c.hash(key), At: mono.Now(), Sets: local.Unknown}, load, inflight.ForRefresh)
}

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
