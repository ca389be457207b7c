package coherence

import (
	"math"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Validity says until when something that was read from a server is known to be current: until then, every change of it
// would have been heard. The server's stream extends it for as long as invalidations surely arrive. A Validity that has run
// out may be extended again, since nothing was missed. One that has ended may not.
type Validity struct {
	until atomic.Int64 // an Instant, or ended
}

const ended = math.MinInt64

// The two that no stream extends.
var (
	Always = NewValidity(math.MaxInt64) // of what nobody else can change, or of what isn't watched on purpose
	Never  = NewValidity(ended)
)

// NewValidity returns one that holds until the instant.
func NewValidity(until mono.Instant) *Validity {
	v := new(Validity)
	v.until.Store(int64(until))
	return v
}

// Holds reports whether it covers the instant at which a value is to be served. The caller's clock reading must be that of
// the hit: a process that was frozen wakes up with what it had.
func (v *Validity) Holds(at mono.Instant) bool { return int64(at) < v.until.Load() }

// Until returns when it runs out, unless it is extended.
func (v *Validity) Until() mono.Instant { return mono.Instant(v.until.Load()) }

// Extend moves the end to a later instant. It does nothing if that is earlier than the present end, or if End was called.
func (v *Validity) Extend(until mono.Instant) {
	for {
		current := v.until.Load()
		if current == ended || current >= int64(until) || v.until.CompareAndSwap(current, int64(until)) {
			return
		}
	}
}

// End ends it for good: the report of a change may have been missed.
func (v *Validity) End() { v.until.Store(ended) }

// Ended reports whether End was called.
func (v *Validity) Ended() bool { return v.until.Load() == ended }
