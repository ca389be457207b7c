package coherence

import (
	"slices"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Deps are what the validity of an item in the local tier depends on. They don't change once the item is published.
type Deps struct {
	Validity *Validity // of the server that has the value; nil until that is known
	Feed     *Feed     // of that server; nil: none
	Epoch    *Epoch    // nil: another program wrote the value, and no Clear reaches it
	Tags     []*TagState
}

// Valid reports whether nothing has invalidated the item, and nothing can have without being heard. The instant must be
// the one clock reading of the hit.
func (d *Deps) Valid(at mono.Instant) bool {
	if !d.Validity.Holds(at) || d.Epoch != nil && (d.Epoch.Over.Load() || !d.Epoch.Validity.Load().Holds(at)) {
		return false
	}
	for _, t := range d.Tags {
		if t.Dead.Load() || !t.Validity.Holds(at) {
			return false
		}
	}
	return true
}

// ValidUntil returns when the item stops being valid, if nothing invalidates it before and no Validity is extended.
func (d *Deps) ValidUntil() mono.Instant {
	until := d.Validity.Until()
	if d.Epoch != nil {
		until = min(until, d.Epoch.Validity.Load().Until())
	}
	for _, t := range d.Tags {
		until = min(until, t.Validity.Until())
	}
	return until
}

// Intact reports whether nothing is known to have invalidated the item.
func (d *Deps) Intact() bool {
	if d.Epoch != nil && d.Epoch.Over.Load() {
		return false
	}
	return !slices.ContainsFunc(d.Tags, func(t *TagState) bool { return t.Dead.Load() })
}

// AfterExpiry returns the dependencies of a stale copy of the item. It reports false if the item was invalidated, or if
// nothing has happened to it.
func (d *Deps) AfterExpiry() (next Deps, ok bool) {
	next = *d
	if d.Epoch != nil && d.Epoch.Over.Load() {
		if next.Epoch = d.Epoch.Latest.Get(); next.Epoch == nil {
			return next, false
		}
		ok = true
	}
	for i, t := range d.Tags {
		if !t.Dead.Load() {
			continue
		}
		if t = t.Latest.Get(); t == nil {
			return next, false
		}
		if &next.Tags[0] == &d.Tags[0] {
			next.Tags = slices.Clone(d.Tags)
		}
		next.Tags[i], ok = t, true
	}
	return next, ok
}

// Equal reports whether both depend on the same things.
func (d *Deps) Equal(o *Deps) bool {
	return d.Validity == o.Validity && d.Feed == o.Feed && d.Epoch == o.Epoch && slices.Equal(d.Tags, o.Tags)
}
