package tiers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// A write of one or many keys is locked in this process, sent to Redis, and then applied to the local tier, or queued. In this order a
// read that finds the old value in Redis can't put it into the local tier after the write has returned. The lock keeps the order in
// which two writes of a key reach Redis, even if the first was given up because Redis was slow; what can't get the lock within the
// Timeout counts as not taken by Redis. Loads come here only for the form of a key write and for binding it to its server.

var errStillWriting = errors.New("tiered: redis: another write of the key is still under way")

// keyWrite is the new content of a key after a write or a load.
type keyWrite[T, S any] struct {
	ref   inflight.Ref[T, S]
	item  *local.Item[T] // for the local tier; nil: delete
	redis remote.Write   // for Redis; its key is ref's
	began mono.Instant   // the earliest time at which the value can have been made
	load  *Task[T, S]    // whose result it is; nil: a write by a caller
}

// Written is what became of a write.
type Written struct {
	Queued []string         // the keys, or those of them that are known, whose changes Redis didn't take
	Err    error            // why it didn't
	Wrong  map[string]error // the errors of values that can't be stored, by key; these keys aren't changed
}

// maxJoined is how many keys an error names.
const maxJoined = 8

// Joined returns an error that wraps Err and the errors of the first wrong values, and says how many more there are.
func (w *Written) Joined() error {
	if len(w.Wrong) == 0 {
		return w.Err
	}
	keys := slices.Sorted(maps.Keys(w.Wrong))
	var errs []error
	if w.Err != nil {
		errs = append(errs, w.Err)
	}
	for _, key := range keys[:min(len(keys), maxJoined)] {
		errs = append(errs, w.Wrong[key])
	}
	if more := len(keys) - maxJoined; more > 0 {
		errs = append(errs, fmt.Errorf("tiered: and %d more", more))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// writes makes the key writes of one call. The keys must differ. It sends them to Redis in chunks, so that only the chunks on
// their way are encoded at a time, and a key is locked for no longer than its chunk takes.
type writes[T, S any] struct {
	*redisconn.Window[keyWrite[T, S]]
	tiers *Tiers[T, S]
	ctx   context.Context

	mu   sync.Mutex
	done Written // its Err is the first
}

func (ch keyWrite[T, S]) key() string { return ch.ref.Key }

// size returns the bytes of the key write's key and value.
func (ch keyWrite[T, S]) size() int {
	return len(ch.ref.Key) + len(ch.redis.Frame) + len(ch.redis.Seen.Bytes)
}

// newWrites returns a writes for about size key writes.
func (t *Tiers[T, S]) newWrites(ctx context.Context, size int) *writes[T, S] {
	w := &writes[T, S]{tiers: t, ctx: ctx}
	w.Window = redisconn.NewWindow(size, keyWrite[T, S].size, w.write)
	return w
}

// end sends the last chunk, waits for all chunks, and returns what became of them.
func (w *writes[T, S]) end() Written {
	w.End()
	return w.done
}

// write makes key writes, first in Redis and then in the local tier, and supersedes what else is under way for their keys. With
// this order an old value that a reader finds in Redis meanwhile can't stay in the local tier. write replaces the caller's key
// strings by the cache's own. If silence is set, it doesn't ask Redis. It returns an error if Redis didn't answer at all.
func (w *writes[T, S]) write(changes []keyWrite[T, S], silence error) error {
	t := w.tiers
	for i, ch := range changes {
		changes[i].ref = t.Keys.BeginWrite(ch.ref.Key, ch.ref.Hash)
		if ch.item != nil {
			ch.item.Key = changes[i].ref.Key // instead of the caller's string
		}
	}
	switch {
	case t.Remote == nil:
		t.finish(changes, nil)
		return nil
	case silence != nil:
		w.finish(changes, 0, t.Remote.Failed(len(changes), silence))
		return silence
	}
	// The timeout bounds the wait for the write lock, whose holder may hang.
	ctx, cancel := context.WithTimeout(w.ctx, t.Remote.Conn.Timeout)
	defer cancel()
	busy, silence := w.writeLocked(ctx, changes, false)
	if len(busy) > 0 {
		var later error
		busy, later = w.writeLocked(ctx, busy, true)
		silence = cmp.Or(silence, later)
	}
	if len(busy) > 0 {
		w.finish(busy, 0, t.Remote.Failed(len(busy), fmt.Errorf("%w: %w", errStillWriting, ctx.Err())))
	}
	return silence
}

// writeLocked makes the key writes whose lock it gets, at once or with wait before ctx ends, and returns the others.
func (w *writes[T, S]) writeLocked(ctx context.Context, changes []keyWrite[T, S], wait bool) (busy []keyWrite[T, S], silence error) {
	t := w.tiers
	lock, locked, busy := t.lockWrites(ctx, changes, wait)
	defer lock.Release()
	for i, ch := range locked {
		locked[i].ref = t.Keys.Listen(ch.ref, nil)
	}
	mark := t.Queue.Mark()
	lock.Retain()
	answers := t.Remote.Write(w.ctx, redisWrites(locked), lock.Release)
	w.finish(locked, mark, answers)
	return busy, redisconn.UnresponsiveError(answers)
}

// lockWrites locks the keys of the key writes, see inflight.Table.LockWrites. It returns the locked and the other key writes.
func (t *Tiers[T, S]) lockWrites(ctx context.Context, changes []keyWrite[T, S], wait bool) (l *inflight.WriteLock[T, S], locked, busy []keyWrite[T, S]) {
	refs := make([]inflight.Ref[T, S], len(changes))
	for i, ch := range changes {
		refs[i] = ch.ref
	}
	l, at, others := t.Keys.LockWrites(ctx, refs, wait)
	for _, i := range at {
		locked = append(locked, changes[i])
	}
	for _, i := range others {
		busy = append(busy, changes[i])
	}
	return l, locked, busy
}

// finish queues the key writes that failed, and ends all of them. It queues first, so that no later read relies on Redis's old
// value. Successful writes remove what was queued for their keys up to the mark.
func (w *writes[T, S]) finish(changes []keyWrite[T, S], mark uint64, answers []redisconn.Reply) {
	if len(changes) == 0 {
		return
	}
	failed, err := w.tiers.Queue.Changed(KeysOf(changes, keyWrite[T, S].key), changes[0].redis.Expire, mark, answers)
	w.tiers.finish(changes, answers)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done.Queued, w.done.Err = append(w.done.Queued, failed...), cmp.Or(w.done.Err, err)
}

// redisWrites returns the key writes as they are made in Redis.
func redisWrites[T, S any](changes []keyWrite[T, S]) []remote.Write {
	writes := make([]remote.Write, len(changes))
	for i, ch := range changes {
		writes[i] = ch.redis
		writes[i].Key = ch.ref.Key
	}
	return writes
}

// finish puts the items into the local tier and ends the key writes.
func (t *Tiers[T, S]) finish(changes []keyWrite[T, S], answers []redisconn.Reply) {
	for i, ch := range changes {
		if answers == nil {
			t.Keys.EndWrite(ch.ref, ch.item, ch.redis.Expire)
			continue
		}
		t.bindToServer(ch.item, answers[i], ch.began)
		stored := storedItem(answers[i], &ch)
		t.Keys.EndWrite(ch.ref, ch.item, ch.redis.Expire)
		t.keep(ch.ref, stored)
	}
}

// setRecord makes the key write store the record. b is nil if the record is already invalid: then Redis alone gets it. The error is
// the codec's.
func (t *Tiers[T, S]) setRecord(ctx context.Context, ch *keyWrite[T, S], r *record.Record[T], b *coherence.Deps, p *record.Policy) error {
	if !r.Storable() {
		return nil
	}
	ch.redis.TTL, ch.began = r.RedisTTL(t.Retention), r.Created
	if b != nil {
		ch.item = t.Local.NewItem(ch.ref.Key, ch.ref.Hash, r, *b, p.LocalUntil(r.Created, r.FreshUntil))
	}
	if t.Remote != nil {
		ch.redis.Key = ch.ref.Key
		if err := t.Remote.Encode(ctx, r, &ch.redis, t.Retention.StaleFor()); err != nil {
			return fmt.Errorf("tiered: encoding the value of %.100q: %w", ch.ref.Key, err)
		}
	}
	ch.redis.TTL = mono.WholeMillis(ch.redis.TTL)
	return nil
}

// bindToServer makes the item depend on the server that replied to the write. If Redis may not have the value, it may not report
// another process's change of it. Then the item is valid only for as long as a local hit may be behind such a change, and
// later it is served only while Redis doesn't answer. An item that already has a Validity isn't in Redis, and keeps it.
func (t *Tiers[T, S]) bindToServer(it *local.Item[T], a redisconn.Reply, began mono.Instant) {
	if it == nil {
		return
	}
	it.Feed = a.Feed
	if it.Validity == nil && a.Err != nil {
		it.Validity = t.temporary(began)
	}
	if it.Validity == nil {
		it.Validity = a.Validity
	}
}

// temporary returns the validity of a value that Redis doesn't have. A change that makes it invalid can't have been made before
// the value was, so it may be served for as long as a local hit may be behind Redis.
func (t *Tiers[T, S]) temporary(began mono.Instant) *coherence.Validity {
	return coherence.NewValidity(began.Add(t.Remote.Conn.MaxAge()))
}
