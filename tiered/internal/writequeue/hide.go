package writequeue

import (
	"fmt"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// ErrNotReplayed is the error of reads that can't rely on Redis because of a queued invalidation.
var ErrNotReplayed = redisconn.NewAnsweredError("tiered: redis: a change that it didn't take is still queued")

// Hides reports whether Redis's content of the key may be outdated by a queued invalidation.
func (q *Queue) Hides(key string) bool {
	if q.size.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	_, queued := q.keys[key]
	return queued || q.tagsQueued()
}

// HidesAll reports whether a queued invalidation may outdate Redis's content of any key.
func (q *Queue) HidesAll() bool {
	if q == nil || q.size.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tagsQueued()
}

// tagsQueued reports whether tags, or an invalidation of everything, are queued. The caller holds q.mu.
func (q *Queue) tagsQueued() bool { return len(q.tags) > 0 || q.clear > 0 || q.expireAll > 0 }

// Withheld returns the error of a read that can't rely on Redis because of a queued invalidation: of the key, or with all of tags
// or of everything. It wraps the error of the last replay, which shows whether Redis answers.
func (q *Queue) Withheld(key string, all bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	cause := q.keys[key].cause
	if all {
		cause = q.tagsErr
	}
	if cause == nil {
		return ErrNotReplayed
	}
	return &withheldError{cause}
}

// withheldError is the error of a read that wasn't made because an invalidation is queued.
type withheldError struct{ cause error }

func (e *withheldError) Error() string { return fmt.Sprintf("%v: %v", ErrNotReplayed, e.cause) }

func (e *withheldError) Unwrap() error { return e.cause }
