package record

import (
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Record is one version of a key's value, or of the knowledge that the source has none.
type Record[T any] struct {
	Value      T
	Created    mono.Instant
	FreshUntil mono.Instant
	*Meta      // never nil
}

// New returns a record that is created now. It keeps the stamp's tags.
func New[T any](value T, absent bool, freshFor time.Duration, stamp coherence.Stamp) *Record[T] {
	now := mono.Now()
	return &Record[T]{
		Value:      value,
		Created:    now,
		FreshUntil: now.Add(freshFor),
		Meta:       &Meta{Absent: absent, Stamp: stamp},
	}
}

// Storable reports whether the record is fresh for any time at all.
func (r *Record[T]) Storable() bool { return r.FreshUntil > r.Created }

// Stale reports whether the record's TTL is over, or was ended by an Expire.
func (r *Record[T]) Stale(at mono.Instant) bool { return r.Expired || at >= r.FreshUntil }
