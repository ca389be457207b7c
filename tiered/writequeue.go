package tiered

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// writeQueue has the changes that Redis didn't take, or may not have taken, until a replay has made up for them. What is
// replayed is that something became invalid, never a value: somebody may have deleted that one since. Until then reads
// don't rely on what Redis has of the keys. Two caches of one name have a write queue each, and don't know of the other's.
type writeQueue struct {
	redis *redisconn.Conn
	trace *Trace
	start func() bool // starts the replayer; false: the cache or its Redis is closed
	hurry chan struct{}
	size  atomic.Int64
	done  atomic.Uint64

	ledger sync.Mutex // held while tags or a Clear are replayed

	mu        sync.Mutex
	number    uint64 // of the last change that was queued
	keys      map[string]queuedInvalidation
	tags      map[string]queuedTag
	clear     uint64 // the last Clear's number; 0: none waits
	expireAll uint64 // the last ExpireAll's number, likewise
	ledgered  error  // why the last attempt at one of these failed
	replaying bool
	closed    bool
}

// queuedInvalidation is what is to be made up for with a key.
type queuedInvalidation struct {
	number uint64
	expire bool
	until  time.Time // on Redis's clock: what began to be made later is to stay; zero: nothing is
	cause  error     // why the last attempt failed
}

// queuedTag is what is to be made up for with a tag.
type queuedTag struct {
	number uint64
	expire bool // it is an ExpireTags
}

// The most that is queued a cache: some two megabytes. When there is more, a Clear takes the place of it all.
const (
	maxQueuedKeys = 10_000
	maxQueuedTags = 1_000
)

var errNotReplayed = redisconn.NewAnsweredError("tiered: redis: a change that it didn't take is still queued")

func newWriteQueue(r *redisconn.Conn, start func() bool, trace *Trace) *writeQueue {
	return &writeQueue{
		redis: r,
		trace: trace,
		start: start,
		hurry: make(chan struct{}, 1),
		keys:  make(map[string]queuedInvalidation),
		tags:  make(map[string]queuedTag),
	}
}

// mark is taken when a change begins: what was queued before then needn't be replayed if the change overrides it.
func (b *writeQueue) mark() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.number
}

// queue has add queue a change that failed, and returns what its caller gets.
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
		b.keys = make(map[string]queuedInvalidation) // an emptied one would keep its memory
		b.ledgered = cause
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

// tell traces the error of a write, if that was queued. It is called when nothing is left to do.
func (b *writeQueue) tell(keys []string, err error) {
	if q, ok := errors.AsType[*queuedError](err); ok && b.trace != nil && b.trace.Queued != nil {
		b.trace.Queued(keys, q.cause)
	}
}

// changed notes what became of writes of keys. It returns those that failed, and the first error.
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

func (b *writeQueue) failed(keys []string, expire bool, cause error) error {
	until, _ := b.redis.LatestTime()
	return b.queue(cause, func(number uint64) {
		for _, key := range keys {
			older, ok := b.keys[key]
			b.keys[key] = queuedInvalidation{number, expire && (!ok || older.expire), until, cause}
		}
	})
}

// written starts what the writes override: an Expire doesn't override a Delete.
func (b *writeQueue) written(keys []string, expire bool, mark uint64) {
	if b.size.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		if d, ok := b.keys[key]; ok && d.number <= mark && (d.expire || !expire) {
			delete(b.keys, key)
		}
	}
	b.count()
}

// queueTags queues an invalidation of tags that failed, or with expire an expiry, and returns its error.
func (b *writeQueue) queueTags(names []string, expire bool, cause error) error {
	return b.queue(cause, func(number uint64) {
		b.ledgered = cause
		if b.clear > 0 {
			b.clearAt(number) // another one, if that of now is under way
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
		b.ledgered = cause
		if expire && b.clear == 0 {
			b.expireAll = number
		} else {
			b.clearAt(number)
		}
	})
}

// clearAt is called with the lock.
func (b *writeQueue) clearAt(number uint64) {
	b.clear, b.expireAll = number, 0
	b.tags = make(map[string]queuedTag)
}

// pay has f take off what needs no replay any more.
func (b *writeQueue) pay(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.count()
}

// payTags is called with the lock. What was queued after the mark stays, and an expiry doesn't make up for an invalidation.
func (b *writeQueue) payTags(names []string, mark uint64, expire bool) {
	for _, name := range names {
		if d, ok := b.tags[name]; ok && d.number <= mark && (d.expire || !expire) {
			delete(b.tags, name)
		}
	}
}

// payClear is called with the lock.
func (b *writeQueue) payClear(mark uint64, expire bool) {
	if b.clear <= mark && !expire {
		b.clear = 0
	}
	if b.expireAll <= mark {
		b.expireAll = 0
	}
	b.payTags(slices.Collect(maps.Keys(b.tags)), mark, expire)
}

// count is called with the lock.
func (b *writeQueue) count() {
	n := len(b.keys) + len(b.tags)
	for _, number := range [...]uint64{b.clear, b.expireAll} {
		if number > 0 {
			n++
		}
	}
	b.size.Store(int64(n))
}

// ledgerWaits is called with the lock.
func (b *writeQueue) ledgerWaits() bool { return len(b.tags) > 0 || b.clear > 0 || b.expireAll > 0 }

// hides reports whether what Redis has of the key may be what was to be changed.
func (b *writeQueue) hides(key string) bool {
	if b.size.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, queued := b.keys[key]
	return queued || b.ledgerWaits()
}

// hidesAll reports whether that may be so of any key.
func (b *writeQueue) hidesAll() bool {
	if b == nil || b.size.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledgerWaits()
}

// withheld is the error of a read that can't rely on Redis because of what is queued. It wraps that of the last attempt to
// make up for it, which tells whether Redis answers. all: because of tags or a Clear.
func (b *writeQueue) withheld(key string, all bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	cause := b.keys[key].cause
	if all {
		cause = b.ledgered
	}
	if cause == nil {
		return errNotReplayed
	}
	return &withheldError{cause}
}

// withheldError is the error of a read that wasn't made because a change is queued.
type withheldError struct{ cause error }

func (e *withheldError) Error() string { return fmt.Sprintf("%v: %v", errNotReplayed, e.cause) }

func (e *withheldError) Unwrap() error { return e.cause }

// blame notes why an attempt to make up for a key failed.
func (b *writeQueue) blame(key string, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d, ok := b.keys[key]; ok {
		d.cause = cause
		b.keys[key] = d
	}
}

// hasten has the replayer, if there is one, try at once.
func (b *writeQueue) hasten() {
	if b.size.Load() == 0 {
		return
	}
	select {
	case b.hurry <- struct{}{}:
	default:
	}
}

// stopped says that the replayer has ended, or couldn't begin.
func (b *writeQueue) stopped() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replaying = false
}

// stopsIfEmpty reports whether there is nothing to replay, so that the replayer ends.
func (b *writeQueue) stopsIfEmpty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size.Load() == 0 {
		b.replaying = false
	}
	return !b.replaying
}

// close has no more queued, and returns how much is left.
func (b *writeQueue) close() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return int(b.size.Load())
}

func (b *writeQueue) waiting() int {
	if b == nil {
		return 0
	}
	return int(b.size.Load())
}

func (b *writeQueue) replayed() uint64 {
	if b == nil {
		return 0
	}
	return b.done.Load()
}
