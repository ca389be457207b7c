package tags

import (
	"fmt"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
)

// Values are those of the store's keys in Redis, for a reader that has no Store. "" means that there is no such key.
type Values struct {
	Epoch, Count string
	Tags         []string // the records of the tags of a stamp, in their order
}

// Judge says what the invalidations have left of a value, and in words why: "" if it is valid.
func (v *Values) Judge(of *coherence.Stamp) (coherence.Status, string) {
	var e epochState
	if e.parse(v.Epoch, v.Count) != nil {
		return coherence.Invalid, "the cache's epoch isn't in Redis, so all its values count as cleared"
	}
	if e.epoch != of.Epoch {
		return coherence.Invalid, "the cache was cleared (Clear) after the value's load began, or its epoch was lost in between"
	}
	states := make([]*coherence.TagState, len(of.Tags))
	for i := range min(len(states), len(v.Tags)) {
		var r tagReply
		if r.parse(v.Tags[i]); r.known {
			states[i] = &coherence.TagState{Epoch: r.epoch, Seq: r.seq, Expiry: r.expiry}
		}
	}
	status := of.Status(coherence.NewEpoch(e.epoch, e.expiry, nil), states)
	if status == coherence.Valid {
		return status, ""
	}
	withoutExpiry := coherence.NewEpoch(e.epoch, 0, nil)
	for i, tag := range of.Tags {
		one := coherence.Stamp{Epoch: of.Epoch, Seq: of.Seq, Tags: of.Tags[i : i+1]}
		switch {
		case one.Status(withoutExpiry, states[i:i+1]) != status:
		case states[i] == nil:
			return status, fmt.Sprintf("there is no record of its tag %q, so it counts as invalidated", tag)
		case status == coherence.Invalid:
			return status, fmt.Sprintf("its tag %q was invalidated (InvalidateTags) after the value's load began", tag)
		default:
			return status, fmt.Sprintf("its tag %q was expired (ExpireTags) after the value's load began", tag)
		}
	}
	return status, "everything was expired (ExpireAll) after the value's load began"
}
