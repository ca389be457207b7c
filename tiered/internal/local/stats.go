package local

import "sync/atomic"

// Stats counts what the tier has done since New. Entries and Cost are of now.
type Stats struct {
	Hits       uint64
	Bypassed   uint64 // items that were asked for, and not served since their validity had run out
	Unverified uint64 // items that were served though their validity had run out
	Evicted    uint64 // items that left for lack of room
	Rejected   uint64 // items that ristretto valued less than those it had
	Dropped    uint64 // items that ristretto's queue had no room for, and that were handed over again
	Entries    int64
	Cost       int64
}

type counters struct {
	bypassed, unverified, evicted, rejected, dropped atomic.Uint64
	entries                                          atomic.Int64
}

// Stats returns the tier's counters.
func (l *Tier[T]) Stats() Stats {
	c := &l.counters
	s := Stats{
		Bypassed:   c.bypassed.Load(),
		Unverified: c.unverified.Load(),
		Evicted:    c.evicted.Load(),
		Rejected:   c.rejected.Load(),
		Dropped:    c.dropped.Load(),
		Entries:    c.entries.Load(),
	}
	for i := range l.stripes {
		s.Hits += l.stripes[i].hits.Load()
	}
	if !l.closed.Load() {
		s.Cost = l.cache.MaxCost() - l.cache.RemainingCost()
	}
	return s
}

// CountUnverified counts an item whose validity has run out, and that the caller serves nevertheless.
func (l *Tier[T]) CountUnverified() { l.counters.unverified.Add(1) }
