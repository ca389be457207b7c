package coherence

import (
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// TagState is what a process knows of a tag: the sequence numbers of its last invalidation and its last expiry.
type TagState struct {
	Epoch    EpochID
	Seq      uint64 // values whose load began before this sequence number are invalid
	Expiry   uint64 // and those before this one are stale
	Validity *Validity
	Until    mono.Instant      // Redis keeps the tag's record until then
	Latest   *Latest[TagState] // nil, or set before Dead is, if an expiry is the reason
	Dead     atomic.Bool       // the tag was invalidated or expired since, or the state is no longer kept up to date
}

// Stamp is what a value carries to be compared with the invalidations: the position of its load, and its tags.
type Stamp struct {
	Epoch EpochID
	Seq   uint64
	Tags  []string
}

// Status is what invalidations and expiries have left of a value.
type Status uint8

// In the order in which more may be served.
const (
	Invalid Status = iota
	Expired
	Valid
)

// Status compares a value with the invalidations of its epoch and of its tags, whose states are given in the order of
// s.Tags. An unknown tag makes the value invalid: what Redis has lost never resurrects a value.
func (s *Stamp) Status(e *Epoch, tags []*TagState) Status {
	if s.Epoch != e.ID {
		return Invalid
	}
	expiry := e.Expiry
	for _, t := range tags {
		if t == nil || t.Epoch != s.Epoch || s.Seq < t.Seq {
			return Invalid
		}
		expiry = max(expiry, t.Expiry)
	}
	if s.Seq < expiry {
		return Expired
	}
	return Valid
}
