package local

import (
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// interner keeps the Meta and Deps of the last item. The next item usually has the same ones, and shares them: with a small
// value they would take more memory than the rest of the item.
//
// Only the last ones are compared, so that there is no table to be bounded or locked; two goroutines that store different ones at
// the same time only share less. A value and an absence differ in their Meta, and a cache may have both in turn: each has a last
// Meta of its own. Values with RefreshAfter have Metas of their own anyway, since each draws its own time.
type interner struct {
	ofValue, ofAbsence atomic.Pointer[record.Meta]
	last               atomic.Pointer[coherence.Deps]
}

// meta returns a Meta that is equal to m: the last item's, or a copy.
func (n *interner) meta(m *record.Meta) *record.Meta {
	last := &n.ofValue
	if m.Absent {
		last = &n.ofAbsence
	}
	if same := last.Load(); same != nil && same.Equal(m) {
		return same
	}
	own := *m
	last.Store(&own)
	return &own
}

// sameDeps returns the last item's Deps if they are equal to d, and nil otherwise.
func (n *interner) sameDeps(d *coherence.Deps) *coherence.Deps {
	if same := n.last.Load(); same != nil && (same == d || same.Equal(d)) {
		return same
	}
	return nil
}

// deps returns Deps that are equal to d, which must not change any more.
func (n *interner) deps(d *coherence.Deps) *coherence.Deps {
	if same := n.sameDeps(d); same != nil {
		return same
	}
	n.last.Store(d)
	return d
}
