//go:build !windows

package outage

import (
	"context"
	"math/rand/v2"
	"time"
)

// changer is the goroutine of a process that changes its groups. There is one, so that changes of a key don't overlap.
type changer struct {
	*run
	*process
	rng *rand.Rand
}

// change makes changes until ctx ends.
func (c *changer) change(ctx context.Context) {
	for ctx.Err() == nil {
		g := groupOf(c.number, c.rng.IntN(groups))
		if c.rng.IntN(3) == 0 {
			c.invalidate(g)
		} else {
			c.write(g.keys[c.rng.IntN(groupKeys)])
		}
		pause(ctx, time.Duration(c.rng.Int64N(int64(60*time.Millisecond))))
	}
}

func (c *changer) invalidate(g group) {
	wrote := make(map[string]uint64)
	for _, key := range g.keys {
		wrote[key] = c.source.newVersion(key)
	}
	c.note(call{kind: invalidateTags, key: g.tag, wrote: wrote}, func(ctx context.Context) error {
		return c.caches[longLived].InvalidateTags(ctx, g.tag)
	})
}

func (c *changer) write(key string) {
	version := c.source.newVersion(key)
	done := call{kind: []kind{set, remove, expire}[c.rng.IntN(3)], key: key, wrote: map[string]uint64{key: version}}
	c.note(done, func(ctx context.Context) error {
		cache := c.caches[longLived]
		switch done.kind {
		case set:
			return cache.Set(ctx, key, Value{key, version, c.clock.now()}, tagOf[key])
		case expire:
			return cache.Expire(ctx, key)
		}
		return cache.Delete(ctx, key)
	})
}

// note calls do and records the change.
func (c *changer) note(done call, do func(context.Context) error) {
	done.process, done.config = c.number, longLived
	done.start = c.clock.now()
	done.err = do(context.Background())
	done.end = c.clock.now()
	c.journal.note(done)
}
