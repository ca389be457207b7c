package tiered

import (
	"math/rand/v2"
	"slices"

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

func (p *Policy) windows() wire.Windows {
	return wire.Windows{
		RefreshAfter: max(0, p.RefreshAfter), WhileRevalidate: max(0, p.StaleWhileRevalidate), IfError: max(0, p.StaleIfError),
	}
}

// newRecord makes a record of what a loader or a Set gives. The tags in m must be the cache's own.
func newRecord[T any](value T, absent bool, p Policy, m coherence.Stamp) *record[T] {
	at := mono.Now()
	r := &record[T]{
		value:      value,
		created:    at,
		freshUntil: at.Add(p.freshFor(absent)),
		traits:     &traits{absent: absent, Stamp: m},
	}
	r.drawEarly(&p)
	return r
}

// kept answers whether the record is to be stored at all.
func (r *record[T]) kept() bool { return r.freshUntil > r.created }

// state is the one place that says when a record is fresh.
func (r *record[T]) state(at mono.Instant) State {
	switch {
	case r.expired || at >= r.freshUntil:
		return Stale
	case r.absent:
		return NotFound
	}
	return Fresh
}

// use is what a record is good for.
type use uint8

const (
	useless  use = iota
	fallback     // served if a load fails or is overdue
	outdated     // served while a load in the background replaces it
	due          // fresh, and to be replaced
	good
)

// use is the one place that says what a record is good for under a policy.
func (r *record[T]) use(p *Policy, at mono.Instant) use {
	state := r.state(at)
	if state == NotFound {
		return good
	}
	w := p.windows()
	if r.windows != nil {
		w = *r.windows
	}
	past := at.Since(r.freshUntil)
	switch {
	case state == Fresh && w.RefreshAfter > 0 && at.Since(r.created) >= max(w.RefreshAfter-r.early, w.RefreshAfter/2):
		return due
	case state == Fresh:
		return good
	case r.absent:
		return useless
	case !r.expired && past < w.WhileRevalidate:
		return outdated
	case w.IfError > 0 && past < w.IfError: // an expired one's time may be to come
		return fallback
	}
	return useless
}

// drawEarly draws by how much the record is refreshed before its time: XFetch's delta * beta * -ln(rand()) with beta 1
// ("Optimal Probabilistic Cache Stampede Prevention", VLDB 2015, section 3), and the policy's jitter.
func (t *traits) drawEarly(p *Policy) {
	after := p.RefreshAfter
	if t.windows != nil {
		after = t.windows.RefreshAfter
	}
	if after > 0 {
		t.early = mono.Sum(mono.Nanos(rand.ExpFloat64()*float64(t.took)), after-p.jittered(after))
	}
}

// entry is what a Loader and the callers of Lookup see of r.
func (r *record[T]) entry(key string, p Policy, tier Tier, at mono.Instant) Entry[T] {
	return Entry[T]{
		Key:    key,
		Value:  r.value,
		Found:  !r.absent,
		Policy: p,
		Tags:   slices.Clone(r.Tags),
		Age:    max(0, at.Since(r.created)),
		Tier:   tier,
		State:  r.state(at),
	}
}
