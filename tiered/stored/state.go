package stored

import (
	"fmt"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/tags"
)

// Invalidations are the values of keys in Redis by which a frame may be invalid. "" means that there is no such key.
type Invalidations struct {
	Epoch string   // of Keys.Epoch
	Count string   // of Keys.Count
	Tags  []string // of Keys.Tag, for each of the frame's Tags, in their order
}

// State says how a frame may be served.
type State uint8

// The states of a frame.
const (
	Invalid State = iota // not at all
	Stale                // only as the StaleWhileRevalidate and StaleIfError of a Policy, or of the frame's own Windows, allow
	Fresh
)

// String returns "invalid", "stale" or "fresh".
func (s State) String() string {
	switch s {
	case Stale:
		return "stale"
	case Fresh:
		return "fresh"
	}
	return "invalid"
}

// Age returns the time since the frame's value was made. now is on Redis's clock.
func (f *Frame) Age(now time.Time) time.Duration { return max(0, now.Sub(f.Created)) }

// State returns how the frame may be served at the instant now of Redis's clock, and in words why it isn't fresh.
func (f *Frame) State(now time.Time, in Invalidations) (s State, why string) {
	records := make([]string, len(f.Tags))
	copy(records, in.Tags)
	states := tags.ParseStates(in.Epoch, in.Count, records)
	status, why := states.Explain(&coherence.Stamp{Epoch: f.frame.Epoch, Seq: f.frame.Seq, Tags: f.Tags})
	past := f.Age(now) - f.FreshFor
	switch {
	case status == coherence.Invalid:
		return Invalid, why
	case f.Absent && (past >= 0 || f.Expired || status == coherence.Expired):
		return Invalid, "the remembered absence is over"
	case status == coherence.Expired:
		return Stale, why
	case f.Expired:
		return Stale, "it was expired (Expire)"
	case past >= 0:
		return Stale, fmt.Sprintf("its TTL ended %v ago", past.Round(time.Millisecond))
	}
	return Fresh, ""
}
