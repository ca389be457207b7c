package inspect

import (
	"context"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/tags"
)

// Tiers are the parts of a cache that an inspection reads.
type Tiers[T any] struct {
	Local  *local.Tier[T]
	Remote *remote.Tier[T] // nil: in-process only
	Index  *tags.Index
	Policy *record.Policy
}

// Key reports what the tiers have for the key with the hash, and what a read would do. k has what they don't know: the Key, Queued,
// Loading, Failure, RetryIn and the Events.
func (t *Tiers[T]) Key(ctx context.Context, k inspection.Key, hash uint64) inspection.Key {
	x := inspector[T]{Tiers: t, at: mono.Now(), key: &k}
	x.read = read{key: &k, strict: t.Local.Strict()}
	it := t.Local.Peek(k.Key, hash)
	if t.Remote != nil {
		x.inspectRemote(ctx)
	}
	if it != nil && !it.Deleted() {
		x.inspectLocal(ctx, it)
	}
	k.Outcome, k.Reason = x.outcome()
	return k
}

// inspector is the state of one inspection of a key.
type inspector[T any] struct {
	*Tiers[T]
	key *inspection.Key
	at  mono.Instant // Redis, if there is one, was read just before
	read
}

// invalidated reports what invalidations have left of a value with the stamp, and why in words: "" if it is valid.
func (t *Tiers[T]) invalidated(ctx context.Context, stamp *coherence.Stamp) (coherence.Status, string, error) {
	states, err := t.Index.Look(ctx, stamp.Tags)
	if err != nil {
		return coherence.Invalid, "", err
	}
	status, why := states.Explain(stamp)
	return status, why, nil
}

// copyOf returns what both tiers report of a record.
func (x *inspector[T]) copyOf(r *record.Record[T]) inspection.Copy {
	y := inspection.Copy{
		Absent: r.Absent, Age: max(0, x.at.Since(r.Created)), FreshFor: r.FreshUntil.Since(x.at), Expired: r.Expired, Tags: r.Tags,
	}
	if !r.Absent {
		y.Value = r.Value
	}
	return y
}
