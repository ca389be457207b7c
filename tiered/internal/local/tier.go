package local

import (
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// Tier is the first tier. Its methods may be called from any number of goroutines.
type Tier[T any] struct {
	store[T]
	strict bool

	// The padding keeps what every Get reads on another cache line than what Gets and Sets write.
	_         [32]byte
	stripes   stripes
	frontHits spread
	interner  interner
	buffer    writeBuffer[T]
	sweeper   sweeper[T]
	sampler   sampler
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
		store:  store[T]{costed: o.Costed, maxCost: o.MaxCost, hash: o.Hash, retention: o.Retention, counters: new(counters)},
		strict: o.Strict,
	}
	first, err := l.newGeneration(0, min(firstCounters, l.allCounters()))
	if err != nil {
		return nil, err
	}
	l.current.Store(first)
	l.front.Store(newFront[T](frontLeast, false))
	l.fitFront()
	l.buffer.start(&l.store, &l.stripes)
	l.sweeper.start(&l.store, &l.buffer, &l.stripes[0])
	return l, nil
}

// Strict reports whether an item whose validity has run out is never served.
func (l *Tier[T]) Strict() bool { return l.strict }

// Close ends the tier's goroutines. Later Gets find nothing, and later Sets do nothing.
func (l *Tier[T]) Close() {
	l.closing.Store(true)
	l.sweeper.close()
	l.buffer.close()
	l.front.Store(newFront[T](frontLeast, false))
	last := l.current.Swap(nil)
	l.stripes.waitUntilLeft(last.number)
	last.close()
}

// Stats returns the tier's counters.
func (l *Tier[T]) Stats() Stats {
	c := l.counters
	s := Stats{
		Hits:       l.stripes.total() + l.frontHits.total(),
		Bypassed:   c.bypassed.Load(),
		Unverified: c.unverified.Load(),
		Evicted:    c.evicted.Load(),
		Rejected:   c.rejected.Load(),
		Dropped:    c.dropped.Load(),
	}
	if g := l.current.Load(); g != nil {
		s.Entries, s.Cost = g.entries.Load(), g.cost()
	}
	return s
}

// CountUnverified counts an item whose validity has run out, and that the caller serves nevertheless.
func (l *Tier[T]) CountUnverified() { l.counters.unverified.Add(1) }
