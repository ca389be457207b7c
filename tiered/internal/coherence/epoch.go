package coherence

import "sync/atomic"

// EpochID identifies an epoch of a cache, the time from one Clear to the next.
type EpochID [8]byte

// Epoch is what a process knows of the present epoch. An ExpireAll replaces it by another Epoch with the same ID.
type Epoch struct {
	ID       EpochID
	Expiry   uint64                   // values whose load began before this sequence number are stale
	Validity atomic.Pointer[Validity] // until when the epoch is known to go on
	Over     *atomic.Bool             // shared by all Epochs that stand for the same one
	Latest   *Latest[Epoch]           // nil, or set before Over is, if an expiry is the reason
}

// NewEpoch returns the epoch with the ID and the sequence number of its last expiry.
func NewEpoch(id EpochID, expiry uint64, v *Validity) *Epoch {
	e := &Epoch{ID: id, Expiry: expiry, Over: new(atomic.Bool)}
	e.Validity.Store(v)
	return e
}

// Position is where a load stands in the order of invalidations: the epoch and the sequence number that were current
// before it began.
type Position struct {
	Epoch *Epoch
	Seq   uint64
}

// Stamp returns the stamp of a value with the tags whose load began at the position.
func (p Position) Stamp(tags []string) Stamp {
	s := Stamp{Seq: p.Seq, Tags: tags}
	if p.Epoch != nil {
		s.Epoch = p.Epoch.ID
	}
	return s
}

// Latest points to what expiries have put in the place of an Epoch or a TagState, in a cache without Redis. After an
// invalidation it points to nothing. With Redis, a stale value is read from there instead.
type Latest[E any] struct{ atomic.Pointer[E] }

// Get returns the present successor, or nil.
func (l *Latest[E]) Get() *E {
	if l == nil {
		return nil
	}
	return l.Load()
}

// Replace sets the successor, which may be nil. It returns l, or a new Latest if l is nil.
func (l *Latest[E]) Replace(next *E) *Latest[E] {
	if l == nil {
		l = new(Latest[E])
	}
	l.Store(next)
	return l
}
