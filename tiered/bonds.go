package tiered

import (
	"slices"
	"sync/atomic"
)

// era is one era of a cache, which Clear ends.
type era struct {
	id    eraID
	proof atomic.Pointer[proof] // that it goes on
	over  *atomic.Bool          // shared by all that stand for it
}

// stamp is the place of a load among the invalidations.
type stamp struct {
	era   *era
	count uint64
}

// tagRecord is the last known invalidation of a tag.
type tagRecord struct {
	era   eraID
	count uint64
	proof *proof
	until instant     // Redis keeps the record until then
	dead  atomic.Bool // the tag was invalidated since, or the record dropped
}

// marks are what orders a record among the invalidations.
type marks struct {
	era   eraID
	count uint64
	tags  []string
}

// bonds are what an item in the local tier depends on.
type bonds struct {
	proof *proof // of the server that has it; nil until that is known
	feed  *feed  // of that server; nil: none
	era   *era   // nil: it was written by another program, which no Clear reaches
	tags  []*tagRecord
}

// hold answers whether the item can be served: nothing has invalidated it, or could have unheard.
func (b *bonds) hold(at instant) bool {
	if !b.proof.holds(at) || b.era != nil && (b.era.over.Load() || !b.era.proof.Load().holds(at)) {
		return false
	}
	for _, r := range b.tags {
		if r.dead.Load() || !r.proof.holds(at) {
			return false
		}
	}
	return true
}

// intact answers whether nothing is known to have invalidated the item.
func (b *bonds) intact() bool {
	if b.era != nil && b.era.over.Load() {
		return false
	}
	return !slices.ContainsFunc(b.tags, func(r *tagRecord) bool { return r.dead.Load() })
}

// precede answers whether none of the records' invalidations came after the marks were taken.
func (m *marks) precede(records []*tagRecord) bool {
	return !slices.ContainsFunc(records, func(r *tagRecord) bool {
		return r == nil || r.era != m.era || r.count > m.count
	})
}

func (s stamp) marks(tags []string) marks {
	m := marks{count: s.count, tags: tags}
	if s.era != nil {
		m.era = s.era.id
	}
	return m
}
