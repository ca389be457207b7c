package writequeue

import (
	"context"
	"maps"
	"slices"
)

// Tags are how a cache invalidates tags and everything, in Redis and in this process's memory. All fields must be set.
type Tags struct {
	// Invalidate invalidates tags in Redis, or with expire makes their values stale. It returns those for which it succeeded, and
	// those for which it failed.
	Invalidate func(ctx context.Context, names []string, expire bool) (done, failed []string, err error)
	// InvalidateAll invalidates everything in Redis, or with expire makes it stale.
	InvalidateAll func(ctx context.Context, expire bool) error
	// Forget drops from memory what belongs to invalidated tags.
	Forget func(names []string, expire bool)
	// ForgetAll drops from memory what belongs to an ended epoch.
	ForgetAll func()
}

// InvalidateTags invalidates tags, or with expire makes their values stale. It queues those that Redis didn't take.
func (q *Queue) InvalidateTags(ctx context.Context, names []string, expire bool) error {
	mark := q.Mark()
	done, failed, err := q.Tags.Invalidate(ctx, names, expire)
	if err != nil {
		err = q.failedTags(failed, expire, err)
	}
	q.Tags.Forget(names, expire)
	if len(done) > 0 {
		q.takeOff(ctx, func() { q.removeTags(done, mark, expire) })
	}
	return err
}

// InvalidateAll invalidates everything, or with expire makes it stale. It queues that if Redis didn't take it.
func (q *Queue) InvalidateAll(ctx context.Context, expire bool) error {
	mark := q.Mark()
	err := q.Tags.InvalidateAll(ctx, expire)
	if err != nil {
		err = q.failedAll(expire, err)
	}
	q.Tags.ForgetAll()
	if err == nil {
		q.takeOff(ctx, func() { q.removeAll(mark, expire) })
	}
	return err
}

// takeOff calls f, which takes off the queue what an invalidation has made unnecessary. It waits for a replay that is under way, because
// a write doesn't wait for one that isn't queued, and would lose its value to it. If the replay takes too long, everything stays queued.
func (q *Queue) takeOff(ctx context.Context, f func()) {
	if q.size.Load() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	if q.beginReplay(ctx) {
		defer q.endReplay()
		q.remove(f)
	}
}

// ReplayTags replays queued tags and invalidations of everything, for Timeout at most. A write calls it first, because a later replay
// would remove its value.
func (q *Queue) ReplayTags(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	q.replayQueued(ctx)
}

// beginReplay waits for a replay that is under way. It reports false if ctx ends first.
func (q *Queue) beginReplay(ctx context.Context) bool {
	select {
	case q.replayingTags <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (q *Queue) endReplay() { <-q.replayingTags }

// replayQueued replays queued tags and invalidations of everything.
func (q *Queue) replayQueued(ctx context.Context) {
	if !q.beginReplay(ctx) {
		return
	}
	defer q.endReplay()
	q.replayAll(ctx)
	q.replayTags(ctx) // those that are still queued
}

// replayAll replays a queued invalidation of everything. The caller has called beginReplay.
func (q *Queue) replayAll(ctx context.Context) {
	q.mu.Lock()
	number, clears, expires := q.number, q.clear > 0, q.expireAll > 0 // never both
	q.mu.Unlock()
	if !clears && !expires {
		return
	}
	if err := q.Tags.InvalidateAll(ctx, expires); err != nil {
		q.remove(func() { q.tagsErr = err })
		return
	}
	q.Tags.ForgetAll()
	q.remove(func() { q.removeAll(number, expires) })
	q.done.Add(1)
}

// replayTags replays the queued tags. The caller has called beginReplay.
func (q *Queue) replayTags(ctx context.Context) {
	q.mu.Lock()
	number, names := q.number, make(map[bool][]string) // by expire
	for tag, d := range q.tags {
		names[d.expire] = append(names[d.expire], tag)
	}
	q.mu.Unlock()
	for expire, some := range names {
		done, _, err := q.Tags.Invalidate(ctx, some, expire)
		if err != nil {
			q.remove(func() { q.tagsErr = err })
		}
		if len(done) > 0 {
			q.Tags.Forget(done, expire)
			q.remove(func() { q.removeTags(done, number, expire) })
			q.done.Add(uint64(len(done)))
		}
	}
}

// failedTags queues an invalidation of tags that failed, or with expire an expiry, and returns its error.
func (q *Queue) failedTags(names []string, expire bool, cause error) error {
	return q.add(cause, func(number uint64) {
		q.tagsErr = cause
		if q.clear > 0 {
			q.clearAt(number) // a new number, because the queued one may be under way
			return
		}
		for _, name := range names {
			older, ok := q.tags[name]
			q.tags[name] = tagInvalidation{number, expire && (!ok || older.expire)}
		}
	})
}

// failedAll queues an invalidation of everything that failed, or with expire an expiry, and returns its error.
func (q *Queue) failedAll(expire bool, cause error) error {
	return q.add(cause, func(number uint64) {
		q.tagsErr = cause
		if expire && q.clear == 0 {
			q.expireAll = number
		} else {
			q.clearAt(number)
		}
	})
}

// clearAt queues an invalidation of everything, which covers all queued tags. The caller holds q.mu.
func (q *Queue) clearAt(number uint64) {
	q.clear, q.expireAll = number, 0
	q.tags = make(map[string]tagInvalidation)
}

// removeTags takes tags off the queue, except those queued after the mark. An expiry doesn't take off an invalidation. The caller
// holds q.mu.
func (q *Queue) removeTags(names []string, mark uint64, expire bool) {
	for _, name := range names {
		if d, ok := q.tags[name]; ok && d.number <= mark && (d.expire || !expire) {
			delete(q.tags, name)
		}
	}
}

// removeAll takes an expiry of everything off the queue, and tags as removeTags does, and unless expire also an invalidation of
// everything: each only up to the mark. The caller holds q.mu.
func (q *Queue) removeAll(mark uint64, expire bool) {
	if q.clear <= mark && !expire {
		q.clear = 0
	}
	if q.expireAll <= mark {
		q.expireAll = 0
	}
	q.removeTags(slices.Collect(maps.Keys(q.tags)), mark, expire)
}
