package tiered

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// traits are what a record has beside its value and its times. In the local tier many items share them: they aren't changed
// any more.
type traits struct {
	absent  bool          // the source said that there is none
	expired bool          // by Expire: its time is over, whatever freshUntil says
	took    time.Duration // how long it took to load; 0: it was set, or is an item's
	early   time.Duration // by how much it is refreshed before RefreshAfter
	windows *wire.Windows // its own; nil: those of the reader's policy
	cost    int64         // less than 1: 1
	coherence.Stamp
}

func (t *traits) sameTraits(o *traits) bool {
	return t.absent == o.absent && t.expired == o.expired && t.took == o.took && t.early == o.early && t.cost == o.cost &&
		(t.windows == o.windows || t.windows != nil && o.windows != nil && *t.windows == *o.windows) &&
		t.Epoch == o.Epoch && t.Seq == o.Seq && slices.Equal(t.Tags, o.Tags)
}

// commons are the traits and bonds of the last item: the next has the same, as a rule, and shares them. For a small value
// they would take more memory than all the rest of an item.
type commons struct {
	found, absent atomic.Pointer[traits]
	bonds         atomic.Pointer[coherence.Deps]
}

func (c *commons) shareTraits(t *traits) *traits {
	last := &c.found
	if t.absent {
		last = &c.absent
	}
	if same := last.Load(); same != nil && same.sameTraits(t) {
		return same
	}
	own := *t
	last.Store(&own)
	return &own
}

// knownBonds are the last item's, if these are the same; nil: they aren't.
func (c *commons) knownBonds(b *coherence.Deps) *coherence.Deps {
	if same := c.bonds.Load(); same != nil && (same == b || same.Equal(b)) {
		return same
	}
	return nil
}

func (c *commons) shareBonds(b *coherence.Deps) *coherence.Deps {
	if same := c.knownBonds(b); same != nil {
		return same
	}
	c.bonds.Store(b)
	return b
}
