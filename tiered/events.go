package tiered

import (
	"fmt"
	"reflect"

	"github.com/tiercache/tiercache/tiered/internal/invalidation"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// What a cache does when Redis reports something. The functions run on the goroutine that reads the stream of invalidations, so
// they must be short: they mark and wake, and leave all reading to others.

// contents is what all caches of a name have in common.
type contents struct {
	value reflect.Type
	codec string
}

func (k contents) String() string { return fmt.Sprintf("%v in %s", k.value, k.codec) }

// subscribe makes the cache get the events of its Redis. It returns an error if another cache of the name has another type or codec.
func (c *core[T]) subscribe() error {
	c.events = &invalidation.Subscriber{
		KeyChanged:     c.keyChanged,
		Interrupted:    c.interrupted,
		BreakerChanged: c.breakerChanged,
		Answered:       c.queue.RetryNow,
	}
	own := contents{reflect.TypeFor[T](), c.values.Name}
	if present, ok := c.redis.caches.Add(c.name, own, c.events); !ok {
		return fmt.Errorf("tiered: Options.Name is %q, which on this Redis is a cache of %v: want that, or another name for %v", c.name, present, own)
	}
	return nil
}

// keyChanged handles a change of a key that Redis reports. rest is the key without the cache's prefix.
func (c *core[T]) keyChanged(rest string) {
	c.stats.invalidations.Add(1)
	switch kind, of := wire.ParseRest(rest); kind {
	case wire.ValueKey:
		c.keys.Changed(of, c.hash(of))
	case wire.LeaseKey:
		c.keys.Wake(of, c.hash(of))
	case wire.TagKey:
		c.tags.TagChanged(of)
	case wire.EpochKey:
		c.tags.EpochChanged()
	case wire.SeqKey:
		c.tags.SeqChanged()
	}
}

// interrupted handles a gap in Redis's reports of changes. It wakes the jobs that wait for a change, and drops the results of reads
// in progress. Cached records need no action: their validities have ended.
func (c *core[T]) interrupted() {
	c.tags.Interrupted()
	c.keys.Interrupted()
}

// breakerChanged handles the circuit breaker of a server: it has opened, or with a nil cause closed.
func (c *core[T]) breakerChanged(addr string, cause error) {
	if cause != nil {
		c.stats.opened.Add(1)
	}
	if c.trace != nil && c.trace.Breaker != nil {
		c.trace.Breaker(addr, cause)
	}
}
