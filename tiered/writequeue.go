package tiered

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// writeQueue holds invalidations in place of the writes that Redis didn't take, or may not have taken, until they are replayed.
// It never replays a value, because another process may have deleted that since. Until the replay, reads don't rely on
// Redis's content of the keys. Two caches of one name have a queue each, and neither sees the other's.
type writeQueue struct {
	redis *redisconn.Conn
	hooks *Trace
	start func() bool // starts the replayer; false: the cache or its Redis is closed
	wake  chan struct{}
	size  atomic.Int64
	done  atomic.Uint64 // replayed

	replayingTags sync.Mutex // held while tags or a Clear are replayed

	mu        sync.Mutex
	number    uint64 // of the last write that was queued
	keys      map[string]queuedInvalidation
	tags      map[string]queuedTag
	clear     uint64 // the number of the last Clear; 0: none is queued
	expireAll uint64 // the number of the last ExpireAll; 0: none is queued
	tagsErr   error  // why the last attempt at tags, a Clear or an ExpireAll failed
	replaying bool
	closed    bool
}

// queuedInvalidation is an invalidation of a key that is to be replayed.
type queuedInvalidation struct {
	remote.Invalidation
	number uint64
	cause  error // why the last attempt failed
}

// queuedTag is an invalidation of a tag that is to be replayed.
type queuedTag struct {
	number uint64
	expire bool // it is by ExpireTags
}

// The limits of a cache's queue, which then takes about two megabytes. When one is exceeded, a Clear replaces the whole queue.
const (
	maxQueuedKeys = 10_000
	maxQueuedTags = 1_000
)

var errNotReplayed = redisconn.NewAnsweredError("tiered: redis: a change that it didn't take is still queued")

func newWriteQueue(r *redisconn.Conn, start func() bool, trace *Trace) *writeQueue {
	return &writeQueue{
		redis: r,
		hooks: trace,
		start: start,
		wake:  make(chan struct{}, 1),
		keys:  make(map[string]queuedInvalidation),
		tags:  make(map[string]queuedTag),
	}
}

// mark returns the number of the last queued write. A write takes a mark when it begins: if it succeeds, it overrides what was
// queued up to the mark.
func (b *writeQueue) mark() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.number
}

// queue calls add to queue a write that failed because of cause, and returns the error for the write's caller.
func (b *writeQueue) queue(cause error, add func(number uint64)) error {
	if errors.Is(cause, ErrClosed) {
		return cause
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return cause
	}
	b.number++
	add(b.number)
	if len(b.keys) > maxQueuedKeys || len(b.tags) > maxQueuedTags {
		b.keys = make(map[string]queuedInvalidation) // an emptied map would keep its memory
		b.tagsErr = cause
		b.clearAt(b.number)
	}
	b.count()
	start := !b.replaying
	b.replaying = true
	b.mu.Unlock()
	if start && !b.start() {
		b.stopped()
	}
	return &queuedError{cause}
}

// queuedError is the error of a write that was queued.
type queuedError struct{ cause error }

func (e *queuedError) Error() string { return fmt.Sprintf("%v: %v", ErrQueued, e.cause) }

func (e *queuedError) Unwrap() []error { return []error{ErrQueued, e.cause} }

// trace calls Trace.Queued if err says that a write was queued. It is called when the write is over.
func (b *writeQueue) trace(keys []string, err error) {
	if q, ok := errors.AsType[*queuedError](err); ok && b.hooks != nil && b.hooks.Queued != nil {
		b.hooks.Queued(keys, q.cause)
	}
}

// changed queues the writes of keys that failed, and drops what the others override up to the mark. It returns the keys that
// failed, and the first error.
func (b *writeQueue) changed(keys []string, expire bool, mark uint64, answers []redisconn.Reply) (failed []string, err error) {
	var written []string
	for i, a := range answers {
		if a.Err == nil {
			written = append(written, keys[i])
		} else {
			failed = append(failed, keys[i])
		}
	}
	b.written(written, expire, mark)
	if len(failed) == 0 {
		return nil, nil
	}
	return failed, b.failed(failed, expire, redisconn.FirstError(answers))
}

// failed queues writes of keys that failed, and returns their error. An Expire doesn't replace a queued Delete.
func (b *writeQueue) failed(keys []string, expire bool, cause error) error {
	until, _ := b.redis.LatestTime()
	return b.queue(cause, func(number uint64) {
		for _, key := range keys {
			older, ok := b.keys[key]
			b.keys[key] = queuedInvalidation{remote.Invalidation{Expire: expire && (!ok || older.Expire), Until: until}, number, cause}
		}
	})
}

// written drops queued invalidations that successful writes override, up to the mark. An Expire doesn't override a Delete.
func (b *writeQueue) written(keys []string, expire bool, mark uint64) {
	if b.size.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		if d, ok := b.keys[key]; ok && d.number <= mark && (d.Expire || !expire) {
			delete(b.keys, key)
		}
	}
	b.count()
}

// queueTags queues an invalidation of tags that failed, or with expire an expiry, and returns its error.
func (b *writeQueue) queueTags(names []string, expire bool, cause error) error {
	return b.queue(cause, func(number uint64) {
		b.tagsErr = cause
		if b.clear > 0 {
			b.clearAt(number) // a new number, because the queued Clear may be under way
			return
		}
		for _, name := range names {
			older, ok := b.tags[name]
			b.tags[name] = queuedTag{number, expire && (!ok || older.expire)}
		}
	})
}

// queueClear queues a Clear that failed, or with expire an ExpireAll, and returns its error.
func (b *writeQueue) queueClear(expire bool, cause error) error {
	return b.queue(cause, func(number uint64) {
		b.tagsErr = cause
		if expire && b.clear == 0 {
			b.expireAll = number
		} else {
			b.clearAt(number)
		}
	})
}

// clearAt queues a Clear, which covers all queued tags. The caller holds b.mu.
func (b *writeQueue) clearAt(number uint64) {
	b.clear, b.expireAll = number, 0
	b.tags = make(map[string]queuedTag)
}

// remove calls f, which takes off the queue what needs no replay any more.
func (b *writeQueue) remove(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.count()
}

// removeTags takes tags off the queue, except those queued after the mark. An expiry doesn't take off an invalidation. The caller
// holds b.mu.
func (b *writeQueue) removeTags(names []string, mark uint64, expire bool) {
	for _, name := range names {
		if d, ok := b.tags[name]; ok && d.number <= mark && (d.expire || !expire) {
			delete(b.tags, name)
		}
	}
}

// removeClear takes an ExpireAll off the queue, and tags as payTags does, and unless expire also a Clear: each only up to the mark.
// The caller holds b.mu.
func (b *writeQueue) removeClear(mark uint64, expire bool) {
	if b.clear <= mark && !expire {
		b.clear = 0
	}
	if b.expireAll <= mark {
		b.expireAll = 0
	}
	b.removeTags(slices.Collect(maps.Keys(b.tags)), mark, expire)
}

// count updates the size. The caller holds b.mu.
func (b *writeQueue) count() {
	n := len(b.keys) + len(b.tags)
	for _, number := range [...]uint64{b.clear, b.expireAll} {
		if number > 0 {
			n++
		}
	}
	b.size.Store(int64(n))
}

// tagsQueued reports whether tags, a Clear or an ExpireAll are queued. The caller holds b.mu.
func (b *writeQueue) tagsQueued() bool { return len(b.tags) > 0 || b.clear > 0 || b.expireAll > 0 }

// hides reports whether Redis's content of the key may be outdated by a queued invalidation.
func (b *writeQueue) hides(key string) bool {
	if b.size.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, queued := b.keys[key]
	return queued || b.tagsQueued()
}

// hidesAll reports whether a queued invalidation may outdate Redis's content of any key.
func (b *writeQueue) hidesAll() bool {
	if b == nil || b.size.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tagsQueued()
}

// withheld returns the error of a read that can't rely on Redis because of a queued invalidation: of the key, or with all of
// tags or by a Clear. It wraps the error of the last replay, which shows whether Redis answers.
func (b *writeQueue) withheld(key string, all bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	cause := b.keys[key].cause
	if all {
		cause = b.tagsErr
	}
	if cause == nil {
		return errNotReplayed
	}
	return &withheldError{cause}
}

// withheldError is the error of a read that wasn't made because an invalidation is queued.
type withheldError struct{ cause error }

func (e *withheldError) Error() string { return fmt.Sprintf("%v: %v", errNotReplayed, e.cause) }

func (e *withheldError) Unwrap() error { return e.cause }

// setCause records why a replay of a key failed.
func (b *writeQueue) setCause(key string, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d, ok := b.keys[key]; ok {
		d.cause = cause
		b.keys[key] = d
	}
}

// retryNow makes the replayer, if one runs, try at once.
func (b *writeQueue) retryNow() {
	if b.size.Load() == 0 {
		return
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// stopped records that the replayer has ended, or couldn't begin.
func (b *writeQueue) stopped() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replaying = false
}

// stopsIfEmpty reports whether the replayer must end because nothing is queued.
func (b *writeQueue) stopsIfEmpty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size.Load() == 0 {
		b.replaying = false
	}
	return !b.replaying
}

// close makes the queue refuse further writes, and returns how many invalidations are left.
func (b *writeQueue) close() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return int(b.size.Load())
}

// waiting returns how many invalidations are queued.
func (b *writeQueue) waiting() int {
	if b == nil {
		return 0
	}
	return int(b.size.Load())
}

// replayed returns how many invalidations were replayed.
func (b *writeQueue) replayed() uint64 {
	if b == nil {
		return 0
	}
	return b.done.Load()
}
