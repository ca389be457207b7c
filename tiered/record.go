package tiered

import (
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// record is one version of a key's value. It is not changed once others can see it.
type record[T any] struct {
	value      T
	created    mono.Instant
	freshUntil mono.Instant
	*traits    // never nil
}

// newRecord makes a record of what is fresh for so long from now on. The tags in m must be the cache's own.
func newRecord[T any](value T, absent bool, freshFor time.Duration, m coherence.Stamp) *record[T] {
	at := mono.Now()
	return &record[T]{
		value:      value,
		created:    at,
		freshUntil: at.Add(freshFor),
		traits:     &traits{absent: absent, Stamp: m},
	}
}

// kept answers whether the record is to be stored at all.
func (r *record[T]) kept() bool { return r.freshUntil > r.created }

// stale is the one place that says when a record's time is over.
func (r *record[T]) stale(at mono.Instant) bool { return r.expired || at >= r.freshUntil }

// use is what a record is good for.
type use uint8

const (
	useless  use = iota
	fallback     // served if a load fails or is overdue
	outdated     // served while a load in the background replaces it
	due          // fresh, and to be replaced
	good
)

// use is the one place that says what a record is good for under the windows of a policy.
func (r *record[T]) use(w *wire.Windows, at mono.Instant) use {
	stale := r.stale(at)
	switch {
	case r.absent && !stale:
		return good
	case r.absent:
		return useless
	case r.windows != nil:
		w = r.windows
	}
	past := at.Since(r.freshUntil)
	switch {
	case !stale && w.RefreshAfter > 0 && at.Since(r.created) >= max(w.RefreshAfter-r.early, w.RefreshAfter/2):
		return due
	case !stale:
		return good
	case !r.expired && past < w.WhileRevalidate:
		return outdated
	case w.IfError > 0 && past < w.IfError: // an expired one's time may be to come
		return fallback
	}
	return useless
}

// drawEarly draws by how much the record is refreshed before its time: XFetch's delta * beta * -ln(rand()) with beta 1
// ("Optimal Probabilistic Cache Stampede Prevention", VLDB 2015, section 3), and the jitter.
func (t *traits) drawEarly(w *wire.Windows, jitter float64) {
	if t.windows != nil {
		w = t.windows
	}
	if after := w.RefreshAfter; after > 0 {
		t.early = mono.Sum(mono.Nanos(rand.ExpFloat64()*float64(t.took)), after-jittered(after, jitter))
	}
}

// jittered is the duration, up to that part of it shorter.
func jittered(d time.Duration, part float64) time.Duration {
	if !(part > 0) { // or no number
		return d
	}
	return d - mono.Nanos(min(part, 1)*rand.Float64()*float64(d)) // a loader may have set it to anything
}
