package tiers

import (
	"context"
	"errors"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/tags"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// A load's result is stored only in place of what the load may replace: its own lease under the key, or, if the old value stayed
// during the load, that very value. Redis compares and sets in one step. So a write by anyone, redis-cli included, that comes between
// the lease and the result wins, and the result is only returned to the callers that wait for it.
//
// If Redis can't be written, the result still enters the local tier, with a validity that ends soon: nobody would report
// a change of it.

// SetResult sets the task's result to a record of the value that its load returned, or of its absence, under the task's Policy. A
// value on which Clone or Cost fails is returned to the callers but not stored. The tags must come from wire.TagSet. The record has
// windows of its own if the Policy's differ from those of the view.
func (t *Tiers[T, S]) SetResult(tk *Task[T, S], value T, absent bool, tags []string, view *record.Policy) {
	tk.Unstorable = nil
	if t.Values.Clone != nil && !absent {
		var clone T
		if clone, tk.Unstorable = t.Values.Copy(value); tk.Unstorable == nil {
			value = clone
		}
	}
	r := record.NewFor(&tk.Policy, value, absent, mono.Now().Since(tk.Began), tk.stamp.Stamp(tags))
	if tk.Policy.Windows != view.Windows {
		own := tk.Policy.Windows
		r.Windows = &own
	}
	if !absent && tk.Unstorable == nil {
		r.Cost, tk.Unstorable = t.Values.Weigh(&r.Value)
	}
	tk.Result = r
}

// Store puts loaded values into the tiers: into Redis only if they replace the load's lease, or the value that a refresh was
// to replace. Errors of Redis are only counted, because the callers have their values.
func (t *Tiers[T, S]) Store(ctx context.Context, tasks []*Task[T, S], held *remote.HeldLeases[T]) {
	if len(tasks) == 1 {
		one := make([]keyWrite[T, S], 1)
		if t.remoteWrite(ctx, tasks[0], held, &one[0]) {
			_ = t.replace(ctx, one, held, nil)
		}
		return
	}
	w := redisconn.NewWindow(len(tasks), keyWrite[T, S].size, func(changes []keyWrite[T, S], silence error) error { return t.replace(ctx, changes, held, silence) })
	defer w.Wait() // a codec or Cost may panic
	for _, tk := range tasks {
		var ch keyWrite[T, S]
		if t.remoteWrite(ctx, tk, held, &ch) {
			w.Add(ch)
		}
	}
	w.End()
}

// remoteWrite is taskWrite, and reports whether Redis is to be written. If it isn't, the result is in the local tier.
func (t *Tiers[T, S]) remoteWrite(ctx context.Context, tk *Task[T, S], held *remote.HeldLeases[T], ch *keyWrite[T, S]) bool {
	writes := t.taskWrite(ctx, tk, held, ch)
	if writes && (t.Remote == nil || tk.Found.Err != nil) {
		t.Keys.PutLoaded(ch.ref, ch.item)
		return false
	}
	return writes
}

// replace makes the key writes of a load in both tiers, or only in the local tier if silence is set. It returns an error if
// Redis didn't answer at all.
func (t *Tiers[T, S]) replace(ctx context.Context, changes []keyWrite[T, S], held *remote.HeldLeases[T], silence error) error {
	var answers []redisconn.Reply
	if silence == nil {
		answers = t.Remote.Replace(ctx, redisWrites(changes))
	} else {
		answers = t.Remote.Failed(len(changes), silence)
	}
	var over []string
	var lost []*Task[T, S]
	for i, a := range answers {
		ch := changes[i]
		if a.Err == nil && !a.Swapped() && ch.load.Found.Own != 0 {
			lost = append(lost, ch.load)
		}
		if a.Swapped() || a.Err == nil && held.Owns(ch.redis.Seen) { // otherwise another lease may be in its place
			over = append(over, ch.ref.Key)
		}
		if a.Err != nil && ch.item != nil || a.Swapped() {
			t.bindToServer(ch.item, a, ch.began)
			stored := storedItem(a, &ch)
			t.Keys.PutLoaded(ch.ref, ch.item)
			t.keep(ch.ref, stored)
		}
	}
	held.Drop(over)
	for _, key := range over {
		t.released(key)
	}
	t.storeAgain(ctx, lost, held)
	return redisconn.UnresponsiveError(answers)
}

// storeAgain stores the results of those loads whose key has changed but still has the value that they were to replace: a load of
// another release has kept it behind its own. One that was expired is left: that may have been during the load, which then must not
// replace it.
func (t *Tiers[T, S]) storeAgain(ctx context.Context, lost []*Task[T, S], held *remote.HeldLeases[T]) {
	if len(lost) == 0 {
		return
	}
	refs := make([]inflight.Ref[T, S], len(lost))
	for i, tk := range lost {
		refs[i] = tk.Flight.Ref
	}
	var again []*Task[T, S]
	for i, found := range t.Read(ctx, refs, &lost[0].Policy, remote.ReadOptions{Exact: true}) {
		tk := lost[i]
		if found.Err == nil && found.Own == tk.Found.Own && !found.OwnExpired {
			tk.Found = found
			again = append(again, tk)
		}
	}
	t.Store(ctx, again, held)
}

// taskWrite makes ch the key write for a task's result, and reports whether there is anything to write. ch must be zero: it has no
// item and no frame unless the result is to be stored.
func (t *Tiers[T, S]) taskWrite(ctx context.Context, tk *Task[T, S], held *remote.HeldLeases[T], ch *keyWrite[T, S]) bool {
	ch.load, ch.ref, ch.redis.Seen = tk, t.Keys.Listen(tk.Flight.Ref, nil), tk.Found.Seen
	leased := tk.leased == primaryLease
	if leased {
		ch.redis.Seen = held.Seen()
	}
	r := tk.Result
	if r == nil || !t.Keys.NotWritten(ch.ref) {
		return leased
	}
	ch.redis.Others = tk.Found.Others
	// A result that isn't stored replaces this release's value, and leaves those of others alone.
	replaces := (tk.Flight.Reason == inflight.ForRefresh || tk.leased == secondaryLease) && (tk.Found.Others == nil || tk.Found.Own != 0)
	if !r.Storable() {
		// Without Redis, or if it can't be written, at least the local tier drops the value that was to be replaced.
		return t.keepOthers(ctx, ch, replaces) || leased || t.Remote == nil || tk.Found.Err != nil
	}
	b, err := t.bindResult(ctx, tk)
	if b == nil || err != nil {
		return leased
	}
	if err = tk.Unstorable; err == nil {
		err = t.setRecord(ctx, ch, r, b, &tk.Policy)
		ch.began = tk.Began
	}
	if err != nil {
		tk.Unstorable = err
		t.Report("tiered: a loaded value can't be stored", ch.ref.Key, err)
		ch.item, ch.redis.Frame = nil, nil
		return t.keepOthers(ctx, ch, replaces) || leased // remove the value to be replaced: it isn't the one that the callers got
	}
	return true
}

// keepOthers makes a key write that replaces a value by none keep those of other releases. It returns replaces.
func (t *Tiers[T, S]) keepOthers(ctx context.Context, ch *keyWrite[T, S], replaces bool) bool {
	if replaces && ch.redis.Others != nil {
		t.Remote.EncodeOthers(ctx, &ch.redis)
	}
	return replaces
}

// bindResult returns the dependencies of a task's result, or nil if it was already invalidated.
func (t *Tiers[T, S]) bindResult(ctx context.Context, tk *Task[T, S]) (*coherence.Deps, error) {
	r := tk.Result
	if tk.Found.Err == nil {
		b, err := t.Tags.Register(ctx, tk.stamp, r.Tags, r.RedisTTL(t.Retention))
		switch {
		case t.Queue.HidesAll():
			tk.Found.Err = writequeue.ErrNotReplayed
		case errors.Is(err, tags.ErrHeld):
			tk.Found.Err = err
		default:
			return b, err
		}
	}
	b := t.Tags.BindUnstored(tk.stamp, r.Tags, t.temporary(tk.Began), tk.Invalidations)
	if b != nil {
		b.Feed = tk.Found.Feed
	}
	return b, nil
}

// DismissHeld keeps callers from joining the loads of held keys for longer than a local hit may be behind Redis, because nobody
// reports that a transaction was committed whose process has ended. It returns a timer to stop when the loads are over; nil: there is none.
func (t *Tiers[T, S]) DismissHeld(tasks []*Task[T, S]) *time.Timer {
	var flights []*inflight.Flight[T, S]
	for _, tk := range tasks {
		if tk.Found.Held {
			flights = append(flights, tk.Flight)
		}
	}
	if len(flights) == 0 {
		return nil
	}
	return t.dismissLater(flights)
}

func (t *Tiers[T, S]) dismissLater(flights []*inflight.Flight[T, S]) *time.Timer {
	return time.AfterFunc(t.Remote.Conn.MaxAge(), func() {
		for _, f := range flights {
			t.Keys.Dismiss(f)
		}
	})
}
