package local

import (
	"fmt"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// Tier is the first tier. Its methods may be called from any number of goroutines.
type Tier[T any] struct {
	store[T]
	strict bool

	// The padding keeps what every Get reads on another cache line than what Gets and Sets write.
	_        [32]byte
	stripes  stripes
	interner interner
	buffer   writeBuffer[T]
	sweeper  sweeper[T]
	maxCost  int64
	sampler  sampler
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
	l := &Tier[T]{
		store:  store[T]{costed: o.Costed, hash: o.Hash, retention: o.Retention, counters: new(counters)},
		strict: o.Strict, maxCost: o.MaxCost,
	}
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *Item[T]]{
		NumCounters:        countersFor(o.MaxCost, o.Costed),
		MaxCost:            o.MaxCost,
		BufferItems:        readBatchFor(o.MaxCost),
		IgnoreInternalCost: true,
		OnEvict: func(i *ristretto.Item[*Item[T]]) {
			if i.Value != nil && mono.Now() < i.Value.usableUntil(l.retention) && !l.closed.Load() {
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
	l.buffer.start(&l.store)
	l.sweeper.start(&l.store, &l.buffer)
	return l, nil
}

// Strict reports whether an item whose validity has run out is never served.
func (l *Tier[T]) Strict() bool { return l.strict }

// Close ends the tier's goroutines. Later Gets find nothing, and later Sets do nothing.
func (l *Tier[T]) Close() {
	l.closed.Store(true)
	l.sweeper.close()
	l.buffer.close()
	l.stripes.waitForGets()
	l.cache.Close()
}

// Stats returns the tier's counters.
func (l *Tier[T]) Stats() Stats {
	c := l.counters
	s := Stats{
		Hits:       l.stripes.hits(),
		Bypassed:   c.bypassed.Load(),
		Unverified: c.unverified.Load(),
		Evicted:    c.evicted.Load(),
		Rejected:   c.rejected.Load(),
		Dropped:    c.dropped.Load(),
		Entries:    c.entries.Load(),
	}
	if !l.closed.Load() {
		s.Cost = l.cache.MaxCost() - l.cache.RemainingCost()
	}
	return s
}

// CountUnverified counts an item whose validity has run out, and that the caller serves nevertheless.
func (l *Tier[T]) CountUnverified() { l.counters.unverified.Add(1) }
