package local

import (
	"fmt"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// Tier is the first tier. Its methods may be called from any number of goroutines.
type Tier[T any] struct {
	cache     *ristretto.Cache[uint64, *Item[T]]
	costed    bool
	hash      func(key string) uint64
	strict    bool
	retention *record.Retention
	closed    atomic.Bool

	// The padding keeps what every Get reads on other cache lines than what Sets and the write buffer write.
	_       [40]byte
	handled atomic.Uint64 // rounds of the write buffer; in one, an item may go to ristretto behind a Get that looks for it
	_       [56]byte

	stripes  [stripes]stripe
	interner interner
	buffer   writeBuffer[T]
	sweeper  sweeper[T]
	counters counters
}

// Options configure a Tier.
type Options struct {
	MaxCost   int64             // of all items together
	Costed    bool              // items may differ in cost; otherwise each costs 1
	Strict    bool              // never serve an item whose validity has run out
	Retention *record.Retention // how long stale items are kept
	Hash      func(key string) uint64
}

// New returns an empty tier, which must be closed.
func New[T any](o Options) (*Tier[T], error) {
	l := &Tier[T]{costed: o.Costed, strict: o.Strict, retention: o.Retention, hash: o.Hash}
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *Item[T]]{
		NumCounters:        countersFor(o.MaxCost, o.Costed),
		MaxCost:            o.MaxCost,
		BufferItems:        readBatchFor(o.MaxCost),
		IgnoreInternalCost: true,
		OnEvict: func(i *ristretto.Item[*Item[T]]) {
			if i.Value != nil && mono.Now() < l.usableUntil(i.Value) && !l.closed.Load() {
				l.counters.evicted.Add(1)
			}
		},
		OnReject: func(*ristretto.Item[*Item[T]]) { l.counters.rejected.Add(1) },
		OnExit: func(it *Item[T]) {
			if it != nil {
				l.counters.entries.Add(-1)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("tiered: local tier: %w", err)
	}
	l.cache = cache
	l.buffer.start(l)
	l.sweeper.start(l)
	return l, nil
}

// Strict reports whether an item whose validity has run out is never served.
func (l *Tier[T]) Strict() bool { return l.strict }

// Close ends the tier's goroutines. Later Gets find nothing, and later Sets do nothing.
func (l *Tier[T]) Close() {
	l.closed.Store(true)
	l.sweeper.close()
	l.buffer.close()
	l.waitForGets()
	l.cache.Close()
}
