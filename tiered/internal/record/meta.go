package record

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Meta is what a record has besides its value and its instants.
type Meta struct {
	Absent  bool          // the source has no value
	Expired bool          // an Expire made it stale, whatever FreshUntil says
	Took    time.Duration // how long the load took; 0 for a Set, and in the local tier, which doesn't need it
	Early   time.Duration // how long before the policy's RefreshAfter it is refreshed
	Windows *wire.Windows // its own, which a loader may set; nil: those of the reader's policy apply
	Cost    int64         // in the local tier; less than 1 counts as 1
	coherence.Stamp
}

// Equal reports whether both say the same.
func (m *Meta) Equal(o *Meta) bool {
	return m.Absent == o.Absent && m.Expired == o.Expired && m.Took == o.Took && m.Early == o.Early && m.Cost == o.Cost &&
		(m.Windows == o.Windows || m.Windows != nil && o.Windows != nil && *m.Windows == *o.Windows) &&
		m.Epoch == o.Epoch && m.Seq == o.Seq && slices.Equal(m.Tags, o.Tags)
}

// windows returns the record's own windows, or else those of the reader's policy.
func (m *Meta) windows(policy *wire.Windows) *wire.Windows {
	if m.Windows != nil {
		return m.Windows
	}
	return policy
}

// DrawEarly draws by how much the record is refreshed before RefreshAfter, so that processes don't all refresh it at once.
// One part is XFetch's delta * beta * -ln(rand()) with beta 1 ("Optimal Probabilistic Cache Stampede Prevention", VLDB
// 2015, section 3), where delta is how long the load took. The other is the policy's jitter.
func (m *Meta) DrawEarly(policy *wire.Windows, jitter float64) {
	if after := m.windows(policy).RefreshAfter; after > 0 {
		m.Early = mono.Sum(mono.Nanos(rand.ExpFloat64()*float64(m.Took)), after-Jittered(after, jitter))
	}
}

// Jittered returns d, shortened by a random share of at most the given part. A part that is not a number, or not
// positive, counts as 0.
func Jittered(d time.Duration, part float64) time.Duration {
	if !(part > 0) {
		return d
	}
	return d - mono.Nanos(min(part, 1)*rand.Float64()*float64(d)) // a loader may have set it to anything
}
