package local

import (
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// interner are the traits and bonds of the last item: the next has the same, as a rule, and shares them. For a small value
// they would take more memory than all the rest of an item.
type interner struct {
	found, absent atomic.Pointer[record.Meta]
	bonds         atomic.Pointer[coherence.Deps]
}

func (c *interner) shareTraits(t *record.Meta) *record.Meta {
	last := &c.found
	if t.Absent {
		last = &c.absent
	}
	if same := last.Load(); same != nil && same.Equal(t) {
		return same
	}
	own := *t
	last.Store(&own)
	return &own
}

// knownBonds are the last item's, if these are the same; nil: they aren't.
func (c *interner) knownBonds(b *coherence.Deps) *coherence.Deps {
	if same := c.bonds.Load(); same != nil && (same == b || same.Equal(b)) {
		return same
	}
	return nil
}

func (c *interner) shareBonds(b *coherence.Deps) *coherence.Deps {
	if same := c.knownBonds(b); same != nil {
		return same
	}
	c.bonds.Store(b)
	return b
}
