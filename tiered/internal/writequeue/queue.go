package writequeue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// Options are what a Queue needs of its cache. All fields must be set.
type Options struct {
	Queued error            // wrapped by the errors of writes that were queued
	Closed error            // a write that failed with it isn't queued
	Now    func() time.Time // on Redis's clock, or later; zero: unknown
	Tags   Tags

	// ReplayKeys replays the invalidations of some keys. It reports whether any server answered. The cache has it, because it
	// must lock the keys.
	ReplayKeys func(ctx context.Context, keys []string) bool
	Go         func(run func(context.Context)) bool // runs a goroutine of the cache; false: the cache or its Redis is closed
	MaxPause   time.Duration                        // between two attempts
	Timeout    time.Duration                        // for how long a write waits for a replay
}

// Queue is the queue of one cache. A nil Queue, of a cache without Redis, is empty.
type Queue struct {
	Options
	wake chan struct{}
	size atomic.Int64
	done atomic.Uint64 // replayed

	replayingTags chan struct{} // full while tags or an invalidation of everything are replayed

	mu        sync.Mutex
	number    uint64 // of the last write that was queued
	keys      map[string]invalidation
	tags      map[string]tagInvalidation
	clear     uint64 // the number of the last invalidation of everything; 0: none is queued
	expireAll uint64 // the number of the last expiry of everything; 0: none is queued
	tagsErr   error  // why the last attempt at tags, or at everything, failed
	replaying bool
	closed    bool
}

// invalidation is an invalidation of a key.
type invalidation struct {
	remote.Invalidation
	number uint64
	cause  error // why the last attempt failed
}

// tagInvalidation is an invalidation of a tag.
type tagInvalidation struct {
	number uint64
	expire bool
}

// The limits of a queue, which then takes about two megabytes. When one is exceeded, an invalidation of everything replaces the
// whole queue.
const (
	MaxKeys = 10_000
	MaxTags = 1_000
)

// New returns an empty queue.
func New(o Options) *Queue {
	return &Queue{Options: o, wake: make(chan struct{}, 1), replayingTags: make(chan struct{}, 1), keys: make(map[string]invalidation), tags: make(map[string]tagInvalidation)}
}

// Error is the error of a write that was queued.
type Error struct{ Queued, Cause error }

func (e *Error) Error() string { return fmt.Sprintf("%v: %v", e.Queued, e.Cause) }

// Unwrap returns both errors.
func (e *Error) Unwrap() []error { return []error{e.Queued, e.Cause} }

// Mark returns the number of the last queued write. A write takes a mark when it begins: if it succeeds, it overrides what was
// queued up to the mark.
func (q *Queue) Mark() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.number
}

// add calls put to queue a write that failed because of cause, and returns the error for the write's caller.
func (q *Queue) add(cause error, put func(number uint64)) error {
	if errors.Is(cause, q.Closed) {
		return cause
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return cause
	}
	q.number++
	put(q.number)
	if len(q.keys) > MaxKeys || len(q.tags) > MaxTags {
		q.keys = make(map[string]invalidation) // an emptied map would keep its memory
		q.tagsErr = cause
		q.clearAt(q.number)
	}
	q.count()
	start := !q.replaying
	q.replaying = true
	q.mu.Unlock()
	if start && !q.Go(q.run) {
		q.stopped()
	}
	return &Error{q.Queued, cause}
}

// Changed queues the writes of keys that failed, and drops what the others override up to the mark. It returns the keys that
// failed, and the first error.
func (q *Queue) Changed(keys []string, expire bool, mark uint64, replies []redisconn.Reply) (failed []string, err error) {
	var written []string
	for i, a := range replies {
		if a.Err == nil {
			written = append(written, keys[i])
		} else {
			failed = append(failed, keys[i])
		}
	}
	q.written(written, expire, mark)
	if len(failed) == 0 {
		return nil, nil
	}
	return failed, q.Failed(failed, expire, redisconn.FirstError(replies))
}

// Failed queues writes of keys that failed, and returns their error. An Expire doesn't replace a queued Delete.
func (q *Queue) Failed(keys []string, expire bool, cause error) error {
	until := q.Now()
	return q.add(cause, func(number uint64) {
		for _, key := range keys {
			older, ok := q.keys[key]
			q.keys[key] = invalidation{remote.Invalidation{Expire: expire && (!ok || older.Expire), Until: until}, number, cause}
		}
	})
}

// written drops queued invalidations that successful writes override, up to the mark. An Expire doesn't override a Delete.
func (q *Queue) written(keys []string, expire bool, mark uint64) {
	if q.size.Load() == 0 {
		return
	}
	q.remove(func() {
		for _, key := range keys {
			if d, ok := q.keys[key]; ok && d.number <= mark && (d.Expire || !expire) {
				delete(q.keys, key)
			}
		}
	})
}

// remove calls f, which takes off the queue what needs no replay any more.
func (q *Queue) remove(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f()
	q.count()
}

// count updates the size. The caller holds q.mu.
func (q *Queue) count() {
	n := len(q.keys) + len(q.tags)
	for _, number := range [...]uint64{q.clear, q.expireAll} {
		if number > 0 {
			n++
		}
	}
	q.size.Store(int64(n))
}

// Len returns how many invalidations are queued.
func (q *Queue) Len() int {
	if q == nil {
		return 0
	}
	return int(q.size.Load())
}

// Replayed returns how many invalidations were replayed.
func (q *Queue) Replayed() uint64 {
	if q == nil {
		return 0
	}
	return q.done.Load()
}

// queuedKeys returns the keys with a queued invalidation of their own.
func (q *Queue) queuedKeys() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Keys(q.keys))
}

// Invalidations returns those of the keys whose invalidation is still queued, with their invalidations and the numbers of these.
func (q *Queue) Invalidations(keys []string) (queued []string, all []remote.Invalidation, numbers map[string]uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	numbers = make(map[string]uint64)
	for _, key := range keys {
		if d, ok := q.keys[key]; ok {
			queued, all = append(queued, key), append(all, d.Invalidation)
			numbers[key] = d.number
		}
	}
	return queued, all, numbers
}

// Settle takes keys off the queue whose invalidations with these numbers were replayed.
func (q *Queue) Settle(numbers map[string]uint64) {
	q.remove(func() {
		for key, number := range numbers {
			if q.keys[key].number == number {
				delete(q.keys, key)
			}
		}
	})
	q.done.Add(uint64(len(numbers)))
}

// SetCause records why a replay of a key failed.
func (q *Queue) SetCause(key string, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d, ok := q.keys[key]; ok {
		d.cause = cause
		q.keys[key] = d
	}
}
