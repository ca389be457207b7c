package tiered

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// A write of one or many keys: locked in this process, sent to Redis, applied to the local tier, or queued. The lock keeps the order in
// which two writes of a key reach Redis, even if the first was given up because Redis was slow; what can't get the lock within the
// Timeout counts as not taken by Redis. Loads come here only for the form of a key write and for binding it to its server.

// keyWrite is the new content of a key after a write or a load.
type keyWrite[T any] struct {
	ref   keyRef[T]
	item  *local.Item[T] // for the local tier; nil: delete
	redis remote.Write   // for Redis; its key is ref's
	began mono.Instant   // the earliest time at which the value can have been made
	load  *task[T]       // whose result it is; nil: a write by a caller
}

// writes makes the key writes of one call. The keys must differ. It sends them to Redis in chunks, so that only the chunks on
// their way are encoded at a time, and a key is locked for no longer than its chunk takes.
type writes[T any] struct {
	*redisconn.Window[keyWrite[T]]
	cache *Cache[T]
	ctx   context.Context

	mu     sync.Mutex
	failed []string
	err    error // the first
}

func (ch keyWrite[T]) key() string { return ch.ref.Key }

// size returns the bytes of the key write's key and value.
func (ch keyWrite[T]) size() int {
	return len(ch.ref.Key) + len(ch.redis.Frame) + len(ch.redis.Seen.Bytes)
}

// newWrites returns a writes for about size key writes.
func (c *Cache[T]) newWrites(ctx context.Context, size int) *writes[T] {
	w := &writes[T]{cache: c, ctx: ctx}
	w.Window = redisconn.NewWindow(size, keyWrite[T].size, w.write)
	return w
}

// end sends the last chunk, waits for all chunks, and returns the first error.
func (w *writes[T]) end() error {
	w.End()
	w.cache.traceQueued(w.failed, w.err)
	return w.err
}

// write makes key writes, first in Redis and then in the local tier, and supersedes what else is under way for their keys. With
// this order an old value that a reader finds in Redis meanwhile can't stay in the local tier. write replaces the caller's key
// strings by the cache's own. If silence is set, it doesn't ask Redis. It returns an error if Redis didn't answer at all.
func (w *writes[T]) write(changes []keyWrite[T], silence error) error {
	c := w.cache
	for i, ch := range changes {
		changes[i].ref = c.keys.BeginWrite(ch.ref.Key, ch.ref.Hash)
		if ch.item != nil {
			ch.item.Key = changes[i].ref.Key // instead of the caller's string
		}
	}
	switch {
	case c.remote == nil:
		c.finish(changes, nil)
		return nil
	case silence != nil:
		w.finish(changes, 0, c.remote.Failed(len(changes), silence))
		return silence
	}
	// The timeout bounds the wait for the write lock, whose holder may hang.
	ctx, cancel := context.WithTimeout(w.ctx, c.remote.Conn.Timeout)
	defer cancel()
	busy, silence := w.writeLocked(ctx, changes, false)
	if len(busy) > 0 {
		var later error
		busy, later = w.writeLocked(ctx, busy, true)
		silence = cmp.Or(silence, later)
	}
	if len(busy) > 0 {
		w.finish(busy, 0, c.remote.Failed(len(busy), fmt.Errorf("%w: %w", errStillWriting, ctx.Err())))
	}
	return silence
}

// writeLocked makes the key writes whose lock it gets, at once or with wait before ctx ends, and returns the others.
func (w *writes[T]) writeLocked(ctx context.Context, changes []keyWrite[T], wait bool) (busy []keyWrite[T], silence error) {
	c := w.cache
	lock, locked, busy := c.lockWrites(ctx, changes, wait)
	defer lock.Release()
	for i, ch := range locked {
		locked[i].ref = c.keys.Listen(ch.ref, nil)
	}
	mark := c.queue.Mark()
	lock.Retain()
	answers := c.remote.Write(w.ctx, redisWrites(locked), lock.Release)
	w.finish(locked, mark, answers)
	return busy, redisconn.UnresponsiveError(answers)
}

// lockWrites locks the keys of the key writes, see inflight.Table.LockWrites. It returns the locked and the other key writes.
func (c *core[T]) lockWrites(ctx context.Context, changes []keyWrite[T], wait bool) (l *inflight.WriteLock[T, flightState[T]], locked, busy []keyWrite[T]) {
	l, at, others := c.keys.LockWrites(ctx, refsOf(changes), wait)
	for _, i := range at {
		locked = append(locked, changes[i])
	}
	for _, i := range others {
		busy = append(busy, changes[i])
	}
	return l, locked, busy
}

func refsOf[T any](changes []keyWrite[T]) []keyRef[T] {
	refs := make([]keyRef[T], len(changes))
	for i, ch := range changes {
		refs[i] = ch.ref
	}
	return refs
}

// finish queues the key writes that failed, and ends all of them. It queues first, so that no later read relies on Redis's old
// value. Successful writes remove what was queued for their keys up to the mark.
func (w *writes[T]) finish(changes []keyWrite[T], mark uint64, answers []redisconn.Reply) {
	if len(changes) == 0 {
		return
	}
	failed, err := w.cache.queue.Changed(keysOf(changes, keyWrite[T].key), changes[0].redis.Expire, mark, answers)
	w.cache.finish(changes, answers)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed, w.err = append(w.failed, failed...), cmp.Or(w.err, err)
}

// redisWrites returns the key writes as they are made in Redis.
func redisWrites[T any](changes []keyWrite[T]) []remote.Write {
	writes := make([]remote.Write, len(changes))
	for i, ch := range changes {
		writes[i] = ch.redis
		writes[i].Key = ch.ref.Key
	}
	return writes
}

// finish puts the items into the local tier and ends the key writes.
func (c *Cache[T]) finish(changes []keyWrite[T], answers []redisconn.Reply) {
	for i, ch := range changes {
		if answers != nil {
			c.bindToServer(ch.item, answers[i], ch.began)
		}
		c.keys.EndWrite(ch.ref, ch.item, ch.redis.Expire)
	}
}

// traceQueued calls Trace.Queued if err says that a write was queued. It is called when the write is over.
func (c *core[T]) traceQueued(keys []string, err error) {
	if e, ok := errors.AsType[*writequeue.Error](err); ok && c.trace != nil && c.trace.Queued != nil {
		c.trace.Queued(keys, e.Cause)
	}
}

// newWrite makes the key write store the record. b is nil if the record is already invalid: then Redis alone gets it. The error is
// the codec's.
func (c *Cache[T]) newWrite(ctx context.Context, ch *keyWrite[T], r *record.Record[T], b *coherence.Deps, p *record.Policy) error {
	if !r.Storable() {
		return nil
	}
	ch.redis.TTL, ch.began = r.RedisTTL(c.retention), r.Created
	if b != nil {
		ch.item = c.local.NewItem(ch.ref.Key, ch.ref.Hash, r, *b, p.LocalUntil(r.Created, r.FreshUntil))
	}
	if c.remote != nil {
		ch.redis.Key = ch.ref.Key
		if err := c.remote.Encode(ctx, r, &ch.redis, c.retention.StaleFor()); err != nil {
			return fmt.Errorf("tiered: encoding the value of %.100q: %w", ch.ref.Key, err)
		}
	}
	ch.redis.TTL = mono.WholeMillis(ch.redis.TTL)
	return nil
}

// bindToServer makes the item depend on the server that replied to the write. If Redis may not have the value, it may not report
// another process's change of it. Then the item is valid only for as long as a local hit may be behind such a change, and
// later it is served only while Redis doesn't answer. An item that already has a Validity isn't in Redis, and keeps it.
func (c *Cache[T]) bindToServer(it *local.Item[T], a redisconn.Reply, began mono.Instant) {
	if it == nil {
		return
	}
	it.Feed = a.Feed
	if it.Validity == nil && a.Err != nil {
		it.Validity = c.temporary(began)
	}
	if it.Validity == nil {
		it.Validity = a.Validity
	}
}

// temporary returns the validity of a value that Redis doesn't have. A change that makes it invalid can't have been made before
// the value was, so it may be served for as long as a local hit may be behind Redis.
func (c *Cache[T]) temporary(began mono.Instant) *coherence.Validity {
	return coherence.NewValidity(began.Add(c.remote.Conn.MaxAge()))
}
