package tiered

import (
	"context"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// A load's result is stored only in place of what the load may replace: its own lease under the key, or, if the old value stayed
// during the load, that very value. Redis compares and sets in one step. So a write by anyone, redis-cli included, that comes between
// the lease and the result wins, and the result is only returned to the callers that wait for it.
//
// If Redis can't be written, the result still enters the local tier, with a validity that ends soon: nobody would report
// a change of it.

// store puts loaded values into the tiers: into Redis only if they replace the load's lease, or the value that a refresh was
// to replace. Errors of Redis are only counted, because the callers have their values.
func (c *Cache[T]) store(ctx context.Context, tasks []*task[T], held *remote.HeldLeases[T]) {
	w := redisconn.NewWindow(len(tasks), keyWrite[T].size, func(changes []keyWrite[T], silence error) error { return c.replace(ctx, changes, held, silence) })
	defer w.Wait() // a codec or Cost may panic
	for _, tk := range tasks {
		var ch keyWrite[T]
		switch {
		case !c.taskWrite(ctx, tk, held, &ch):
		case c.remote == nil || tk.found.Err != nil:
			c.keys.PutLoaded(ch.ref, ch.item)
		default:
			w.Add(ch)
		}
	}
	w.End()
}

// replace makes the key writes of a load in both tiers, or only in the local tier if silence is set. It returns an error if
// Redis didn't answer at all.
func (c *Cache[T]) replace(ctx context.Context, changes []keyWrite[T], held *remote.HeldLeases[T], silence error) error {
	var answers []redisconn.Reply
	if silence == nil {
		answers = c.remote.Replace(ctx, redisWrites(changes))
	} else {
		answers = c.remote.Failed(len(changes), silence)
	}
	var over []string
	var lost []*task[T]
	for i, a := range answers {
		ch := changes[i]
		if a.Err == nil && !a.Swapped() && ch.load.found.Own != 0 {
			lost = append(lost, ch.load)
		}
		if a.Swapped() || a.Err == nil && held.Owns(ch.redis.Seen) { // otherwise another lease may be in its place
			over = append(over, ch.ref.Key)
		}
		if a.Err != nil && ch.item != nil || a.Swapped() {
			c.bindToServer(ch.item, a, ch.began)
			c.keys.PutLoaded(ch.ref, ch.item)
		}
	}
	held.Drop(over)
	for _, key := range over {
		c.released(key)
	}
	c.storeAgain(ctx, lost, held)
	return redisconn.UnresponsiveError(answers)
}

// storeAgain stores the results of those loads whose key has changed but still has the value that they were to replace: a load of
// another release has kept it behind its own. One that was expired is left: that may have been during the load, which then must not
// replace it.
func (c *Cache[T]) storeAgain(ctx context.Context, lost []*task[T], held *remote.HeldLeases[T]) {
	if len(lost) == 0 {
		return
	}
	refs := make([]keyRef[T], len(lost))
	for i, tk := range lost {
		refs[i] = tk.flight.Ref
	}
	var again []*task[T]
	for i, found := range c.readUnlessQueued(ctx, refs, remote.ReadOptions{Exact: true}) {
		tk := lost[i]
		if found.Err == nil && found.Own == tk.found.Own && !found.OwnExpired {
			tk.found = found
			again = append(again, tk)
		}
	}
	c.store(ctx, again, held)
}

// taskWrite makes ch the key write for a task's result, and reports whether there is anything to write. ch must be zero: it has no
// item and no frame unless the result is to be stored.
func (c *Cache[T]) taskWrite(ctx context.Context, tk *task[T], held *remote.HeldLeases[T], ch *keyWrite[T]) bool {
	ch.load, ch.ref, ch.redis.Seen = tk, c.keys.Listen(tk.flight.Ref, nil), tk.found.Seen
	leased := tk.leased == primaryLease
	if leased {
		ch.redis.Seen = held.Seen()
	}
	r := tk.result
	if r == nil || !c.keys.NotWritten(ch.ref) {
		return leased
	}
	ch.redis.Others = tk.found.Others
	// A result that isn't stored replaces this release's value, and leaves those of others alone.
	replaces := (tk.flight.Reason == inflight.ForRefresh || tk.leased == secondaryLease) && (tk.found.Others == nil || tk.found.Own != 0)
	if !r.Storable() {
		// Without Redis, or if it can't be written, at least the local tier drops the value that was to be replaced.
		return c.keepOthers(ctx, ch, replaces) || leased || c.remote == nil || tk.found.Err != nil
	}
	b, err := c.bindResult(ctx, tk)
	if b == nil || err != nil {
		return leased
	}
	if err = tk.unstorable; err == nil {
		err = c.newWrite(ctx, ch, r, b, &tk.policy)
		ch.began = tk.began
	}
	if err != nil {
		tk.unstorable = err
		c.reportValue("tiered: a loaded value can't be stored", ch.ref.Key, err)
		ch.item, ch.redis.Frame = nil, nil
		return c.keepOthers(ctx, ch, replaces) || leased // remove the value to be replaced: it isn't the one that the callers got
	}
	return true
}

// keepOthers makes a key write that replaces a value by none keep those of other releases. It returns replaces.
func (c *Cache[T]) keepOthers(ctx context.Context, ch *keyWrite[T], replaces bool) bool {
	if replaces && ch.redis.Others != nil {
		c.remote.EncodeOthers(ctx, &ch.redis)
	}
	return replaces
}

// bindResult returns the dependencies of a task's result, or nil if it was already invalidated.
func (c *Cache[T]) bindResult(ctx context.Context, tk *task[T]) (*coherence.Deps, error) {
	r := tk.result
	if tk.found.Err == nil {
		b, err := c.tags.Register(ctx, tk.stamp, r.Tags, r.RedisTTL(c.retention))
		if !c.queue.HidesAll() {
			return b, err
		}
		tk.found.Err = writequeue.ErrNotReplayed
	}
	b := c.tags.BindUnstored(tk.stamp, r.Tags, c.temporary(tk.began), tk.flight.State.began)
	if b != nil {
		b.Feed = tk.found.Feed
	}
	return b, nil
}
