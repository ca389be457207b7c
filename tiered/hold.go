package tiered

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// A transaction of the source changes rows for everybody when it commits. A Delete before that is too early: a load in between reads
// the old row, and stores it. One after it may never come, if the process ends first. A hold lasts from before the commit to the
// Delete after it, and ends by itself if that doesn't come. While it lasts the key has no value in Redis, and loads take no lease, so
// that they don't wait, and nothing of them is stored there.

// defaultHold is for how long a hold lasts that nobody ends.
const defaultHold = 30 * time.Second

var errHoldEnded = errors.New("tiered: the hold has already been ended")

// Hold keeps values of a cache from being stored while a transaction that changes their source is being committed: see [Cache.Hold].
type Hold struct {
	ended atomic.Bool
	timer *time.Timer // in a cache without Redis: when the hold ends by itself
	end   func(ctx context.Context, changed bool) error
}

// Hold removes the keys, and all values that have one of the tags, like Delete and InvalidateTags, and until the hold ends no value of
// the keys or with the tags is stored in Redis: not one whose load is under way, and not one whose load begins later. Reads load the
// value, and a process may keep it in its local tier for Heartbeat + Timeout at most. They don't wait for the hold to end. Set ends
// the hold of its key; its value isn't valid if one of its tags is held.
//
// It is for changes that others see at a later instant, such as those of a transaction: call Hold before the commit,
// [Hold.Invalidate] after it, or [Hold.Release] after a rollback. If it isn't known whether the transaction was committed, call neither.
// Then, and if the process ends, the hold ends by itself d after it began, which must be longer than the commit may take. 0: 30 seconds.
// Several holders may hold a key or a tag at the same time. It is free when the last hold has ended.
//
// If Redis can't be written, or didn't answer, Hold returns an error that wraps [ErrNotHeld], and nothing is held, except that what Redis took without an
// answer ends after d. The removals are queued then (see [ErrQueued]). The Redis user needs the further rights
// +zadd +zrem +zremrangebyscore +zcard +zcount.
//
// A cache without Redis ends with its process, and holds nothing: Hold removes the values, Invalidate does so again, and so does the
// end of a hold that wasn't ended.
func (c *Cache[T]) Hold(ctx context.Context, d time.Duration, keys, tags []string) (*Hold, error) {
	if err := c.usable(keys...); err != nil {
		return nil, err
	}
	if err := checkDuration("the hold's time", d, defaultHold.String()); err != nil {
		return nil, err
	}
	if d == 0 {
		d = defaultHold
	}
	tags, err := wire.SortTags(wire.CloneTags(tags))
	if err != nil {
		return nil, err
	}
	keys = wire.CloneTags(keys)
	slices.Sort(keys)
	s := held[T]{c, slices.Compact(keys), tags, redisconn.Hold{Token: strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36), TTL: d}}
	h := &Hold{end: s.end}
	if err := s.begin(ctx); err != nil {
		_ = s.end(context.WithoutCancel(ctx), false) // what can't be released ends by itself
		return nil, fmt.Errorf("%w: %w", ErrNotHeld, err)
	}
	if c.remote == nil {
		h.timer = time.AfterFunc(d, func() { _ = s.end(context.Background(), true) }) // the only error is that of a closed cache
	}
	return h, nil
}

// Invalidate removes the keys, and all values that have one of the tags, and ends the hold. Call it when the transaction has been
// committed. It keeps the promises of Delete and InvalidateTags, and returns the same errors. If Redis can't be written, the removals are
// queued, and the hold ends by itself.
func (h *Hold) Invalidate(ctx context.Context) error { return h.endOnce(ctx, true) }

// Release ends the hold when the transaction has been rolled back, so that loaded values are stored again. It returns an error if
// Redis didn't take that: then the hold ends by itself.
func (h *Hold) Release(ctx context.Context) error { return h.endOnce(ctx, false) }

func (h *Hold) endOnce(ctx context.Context, changed bool) error {
	if h.ended.Swap(true) {
		return errHoldEnded
	}
	if h.timer != nil {
		h.timer.Stop()
	}
	return h.end(ctx, changed)
}

// held is what a hold of a cache holds.
type held[T any] struct {
	cache      *Cache[T]
	keys, tags []string // the cache's own copies
	hold       redisconn.Hold
}

// begin holds the keys and the tags.
func (s held[T]) begin(ctx context.Context) error {
	if err := s.remove(ctx, s.hold); err != nil || len(s.tags) == 0 {
		return err
	}
	if s.cache.remote != nil {
		if err := s.cache.tags.Hold(ctx, s.tags, s.hold); err != nil {
			return err
		}
	}
	return s.cache.invalidate(ctx, s.tags, false)
}

// end ends the hold. With changed, the source was changed meanwhile. Tags are invalidated in any case: see package tags.
func (s held[T]) end(ctx context.Context, changed bool) error {
	c, over := s.cache, redisconn.Hold{Token: s.hold.Token}
	var keys, tags error
	switch {
	case len(s.keys) == 0:
	case changed:
		keys = s.remove(ctx, over)
	case c.remote != nil:
		keys = c.remote.Release(ctx, s.keys, over)
	}
	if len(s.tags) > 0 && (changed || c.remote != nil) {
		tags = c.invalidate(ctx, s.tags, false)
		if tags == nil && c.remote != nil {
			tags = c.tags.Release(ctx, s.tags, over)
		}
	}
	return errors.Join(keys, tags)
}

// remove removes the keys, and begins or ends their hold.
func (s held[T]) remove(ctx context.Context, h redisconn.Hold) error {
	return s.cache.removeKeys(ctx, s.keys, remote.Write{Hold: h})
}
