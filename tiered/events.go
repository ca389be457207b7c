package tiered

import (
	"fmt"
	"reflect"

	"github.com/tiercache/tiercache/tiered/internal/invalidation"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// contents is what all caches of a name have in common.
type contents struct {
	value reflect.Type
	codec string
}

func (k contents) String() string { return fmt.Sprintf("%v in %s", k.value, k.codec) }

// subscribe makes the cache get the events of its Redis. It returns an error if another cache of the name has another type or codec.
func (t *core[T]) subscribe() error {
	t.events = &invalidation.Subscriber{
		KeyChanged:     t.keyChanged,
		Interrupted:    t.interrupted,
		BreakerChanged: t.breakerChanged,
		Answered:       t.queue.RetryNow,
	}
	own := contents{reflect.TypeFor[T](), t.values.Name}
	if present, ok := t.redis.caches.Add(t.name, own, t.events); !ok {
		return fmt.Errorf("tiered: Options.Name is %q, which on this Redis is a cache of %v: want that, or another name for %v", t.name, present, own)
	}
	return nil
}

// keyChanged handles a change of a key that Redis reports. rest is the key without the cache's prefix.
func (t *core[T]) keyChanged(rest string) {
	t.stats.invalidations.Add(1)
	switch kind, of := wire.ParseRest(rest); kind {
	case wire.ValueKey:
		t.keys.Changed(of, t.hash(of))
	case wire.LeaseKey:
		t.keys.Wake(of, t.hash(of))
	case wire.TagKey:
		t.tags.TagChanged(of)
	case wire.EpochKey:
		t.tags.EpochChanged()
	case wire.SeqKey:
		t.tags.SeqChanged()
	}
}

// interrupted handles a gap in Redis's reports of changes. It wakes the jobs that wait for a change, and drops the results of reads
// in progress. Cached records need no action: their validities have ended.
func (t *core[T]) interrupted() {
	t.tags.Interrupted()
	t.keys.Interrupted()
}

// breakerChanged handles the circuit breaker of a server: it has opened, or with a nil cause closed.
func (t *core[T]) breakerChanged(addr string, cause error) {
	if cause != nil {
		t.stats.opened.Add(1)
	}
	if t.trace != nil && t.trace.Breaker != nil {
		t.trace.Breaker(addr, cause)
	}
}
