package record

import (
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// MinTTL is the shortest TTL, because Redis counts in milliseconds.
const MinTTL = time.Millisecond

// Policy is what a view of the cache, or the loader of a value, says about the age of records: for how long new ones are kept, and
// how those that were read may be served.
type Policy struct {
	TTL         time.Duration // of a value
	LocalTTL    time.Duration // limits how long a record stays in the local tier; 0 or less: nothing does but its TTL
	NotFoundTTL time.Duration // of an absence
	Windows     wire.Windows  // of records without windows of their own
	Jitter      float64       // of each TTL, and of the time of an early refresh
}

// Keeps returns how long a value, or an absence, is to be kept. It isn't stored if that is less than MinTTL.
func (p *Policy) Keeps(absent bool) time.Duration {
	if absent {
		return p.NotFoundTTL
	}
	return p.TTL
}

// FreshFor returns how long a new value, or absence, is fresh, or 0 if it isn't to be stored.
func (p *Policy) FreshFor(absent bool) time.Duration {
	d := p.Keeps(absent)
	if d < MinTTL {
		return 0
	}
	return Jittered(d, p.Jitter)
}

// LocalUntil returns when a record that enters the local tier at the instant leaves it.
func (p *Policy) LocalUntil(at, freshUntil mono.Instant) mono.Instant {
	if p.LocalTTL <= 0 {
		return freshUntil
	}
	return min(freshUntil, at.Add(Jittered(p.LocalTTL, p.Jitter)))
}

// ForeignTTL returns for how long a value that another program wrote is fresh.
func (p *Policy) ForeignTTL() time.Duration {
	if p.LocalTTL > 0 {
		return p.LocalTTL
	}
	return p.TTL
}

// NewFor returns a record that is created now under the policy, after a load that took so long, or 0. It keeps the stamp's tags.
func NewFor[T any](p *Policy, value T, absent bool, took time.Duration, stamp coherence.Stamp) *Record[T] {
	r := New(value, absent, p.FreshFor(absent), stamp)
	r.Took = took
	r.DrawEarly(&p.Windows, p.Jitter)
	return r
}
