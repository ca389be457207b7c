package record

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Record is one version of a key's value. It is not changed once others can see it.
type Record[T any] struct {
	Value      T
	Created    mono.Instant
	FreshUntil mono.Instant
	*Meta      // never nil
}

// New makes a record of what is fresh for so long from now on. The tags in m must be the cache's own.
func New[T any](value T, absent bool, freshFor time.Duration, m coherence.Stamp) *Record[T] {
	at := mono.Now()
	return &Record[T]{
		Value:      value,
		Created:    at,
		FreshUntil: at.Add(freshFor),
		Meta:       &Meta{Absent: absent, Stamp: m},
	}
}

// Kept answers whether the record is to be stored at all.
func (r *Record[T]) Kept() bool { return r.FreshUntil > r.Created }

// Stale is the one place that says when a record's time is over.
func (r *Record[T]) Stale(at mono.Instant) bool { return r.Expired || at >= r.FreshUntil }

// Use is what a record is good for.
type Use uint8

const (
	Unusable        Use = iota
	IfError             // served if a load fails or is overdue
	WhileRevalidate     // served while a load in the background replaces it
	RefreshDue          // fresh, and to be replaced
	Good
)

// Use is the one place that says what a record is good for under the windows of a policy.
func (r *Record[T]) Use(w *wire.Windows, at mono.Instant) Use {
	stale := r.Stale(at)
	switch {
	case r.Absent && !stale:
		return Good
	case r.Absent:
		return Unusable
	case r.Windows != nil:
		w = r.Windows
	}
	past := at.Since(r.FreshUntil)
	switch {
	case !stale && w.RefreshAfter > 0 && at.Since(r.Created) >= max(w.RefreshAfter-r.Early, w.RefreshAfter/2):
		return RefreshDue
	case !stale:
		return Good
	case !r.Expired && past < w.WhileRevalidate:
		return WhileRevalidate
	case w.IfError > 0 && past < w.IfError: // an expired one's time may be to come
		return IfError
	}
	return Unusable
}

// DrawEarly draws by how much the record is refreshed before its time: XFetch's delta * beta * -ln(rand()) with beta 1
// ("Optimal Probabilistic Cache Stampede Prevention", VLDB 2015, section 3), and the jitter.
func (t *Meta) DrawEarly(w *wire.Windows, jitter float64) {
	if t.Windows != nil {
		w = t.Windows
	}
	if after := w.RefreshAfter; after > 0 {
		t.Early = mono.Sum(mono.Nanos(rand.ExpFloat64()*float64(t.Took)), after-Jittered(after, jitter))
	}
}

// Jittered is the duration, up to that part of it shorter.
func Jittered(d time.Duration, part float64) time.Duration {
	if !(part > 0) { // or no number
		return d
	}
	return d - mono.Nanos(min(part, 1)*rand.Float64()*float64(d)) // a loader may have set it to anything
}

// Meta are what a record has beside its value and its times. In the local tier many items share them: they aren't changed
// any more.
type Meta struct {
	Absent  bool          // the source said that there is none
	Expired bool          // by Expire: its time is over, whatever freshUntil says
	Took    time.Duration // how long it took to load; 0: it was set, or is an item's
	Early   time.Duration // by how much it is refreshed before RefreshAfter
	Windows *wire.Windows // its own; nil: those of the reader's policy
	Cost    int64         // less than 1: 1
	coherence.Stamp
}

func (t *Meta) Equal(o *Meta) bool {
	return t.Absent == o.Absent && t.Expired == o.Expired && t.Took == o.Took && t.Early == o.Early && t.Cost == o.Cost &&
		(t.Windows == o.Windows || t.Windows != nil && o.Windows != nil && *t.Windows == *o.Windows) &&
		t.Epoch == o.Epoch && t.Seq == o.Seq && slices.Equal(t.Tags, o.Tags)
}
