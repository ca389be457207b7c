package tiered

import (
	"slices"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// era is one era of a cache, which Clear ends, up to its next expiry, which begins another era of the same id.
type era struct {
	id     eraID
	expiry uint64                // what was loaded before that count is stale
	proof  atomic.Pointer[proof] // that it goes on
	over   *atomic.Bool          // shared by all that stand for it
	latest *latest[era]          // set before it is over, if an expiry ends it
}

// stamp is the place of a load among the invalidations.
type stamp struct {
	era   *era
	count uint64
}

// tagRecord is the last known invalidation of a tag.
type tagRecord struct {
	era    eraID
	count  uint64
	expiry uint64 // what was loaded before that count is stale
	proof  *proof
	until  mono.Instant       // Redis keeps the record until then
	latest *latest[tagRecord] // set before it is dead, if an expiry is why
	dead   atomic.Bool        // the tag was invalidated or expired since, or the record dropped
}

// latest has the era or the record that the expiries in a cache without Redis have put in the place of others; nil after an
// invalidation. With Redis what is stale is read from there.
type latest[E any] struct{ atomic.Pointer[E] }

// in returns what is there now; nil: nothing.
func (l *latest[E]) in() *E {
	if l == nil {
		return nil
	}
	return l.Load()
}

// replace puts next, which may be nil, there.
func (l *latest[E]) replace(next *E) *latest[E] {
	if l == nil {
		l = new(latest[E])
	}
	l.Store(next)
	return l
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
func (b *bonds) hold(at mono.Instant) bool {
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

// afterExpiry returns the bonds that a stale copy of the item has. It reports false if the item was invalidated, or nothing has happened
// to it.
func (b *bonds) afterExpiry() (next bonds, ok bool) {
	next = *b
	if b.era != nil && b.era.over.Load() {
		if next.era = b.era.latest.in(); next.era == nil {
			return next, false
		}
		ok = true
	}
	for i, r := range b.tags {
		if !r.dead.Load() {
			continue
		}
		if r = r.latest.in(); r == nil {
			return next, false
		}
		if &next.tags[0] == &b.tags[0] {
			next.tags = slices.Clone(b.tags)
		}
		next.tags[i], ok = r, true
	}
	return next, ok
}

// validity is what the invalidations and expiries since have left of a value.
type validity uint8

const (
	isInvalid validity = iota
	isExpired
	isValid
)

// validity is the one place that orders a value among the invalidations: of everything in the era, and of its tags.
func (m *marks) validity(e *era, records []*tagRecord) validity {
	if m.era != e.id {
		return isInvalid
	}
	expiry := e.expiry
	for _, r := range records {
		if r == nil || r.era != m.era || m.count < r.count {
			return isInvalid
		}
		expiry = max(expiry, r.expiry)
	}
	if m.count < expiry {
		return isExpired
	}
	return isValid
}

func (s stamp) marks(tags []string) marks {
	m := marks{count: s.count, tags: tags}
	if s.era != nil {
		m.era = s.era.id
	}
	return m
}
