package tiered

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// The cache's part in replaying the write queue. The queue itself, and the goroutine that replays it, are in package writequeue; the
// cache lends it a goroutine, and replays the invalidations of keys, which need the write locks and the remote tier.

// replayLooks is how often a replay tries a key that others keep changing.
const replayLooks = 3

// newQueue returns the write queue of a cache with Redis.
func (c *core[T]) newQueue() *writequeue.Queue {
	return writequeue.New(writequeue.Options{
		Queued: ErrQueued,
		Closed: ErrClosed,
		Now: func() time.Time {
			at, _ := c.remote.Conn.LatestTime()
			return at
		},
		Tags: writequeue.Tags{
			Invalidate:    c.tags.Invalidate,
			InvalidateAll: c.tags.Store.Clear,
			Forget:        c.tags.Invalidated,
			ForgetAll:     c.tags.EpochChanged,
		},
		ReplayKeys: c.replayKeys,
		Go:         c.replayer,
		MaxPause:   c.remote.Conn.Heartbeat,
		Timeout:    c.remote.Conn.Timeout,
	})
}

// replayer runs the write queue's replayer in a goroutine that ends with the cache and its Redis. It reports false if one of them
// is already closed.
func (c *core[T]) replayer(run func(context.Context)) bool {
	r := c.remote.Conn
	if !c.life.Begin() {
		return false
	}
	if !r.Calls.Begin() {
		c.life.End()
		return false
	}
	go func() {
		defer c.life.End()
		defer r.Calls.End()
		ctx, cancel := context.WithCancel(c.base)
		defer cancel()
		defer context.AfterFunc(r.Context, cancel)()
		run(ctx)
	}()
	return true
}

// closeQueue makes the last attempt to replay the queue, and logs how much is lost.
func (c *core[T]) closeQueue() {
	// This is time enough for a full queue if Redis answers: that takes twenty requests of a few milliseconds.
	timeout := mono.Times(redisconn.MaxTimeouts, c.remote.Conn.Timeout)
	if lost := c.queue.Close(timeout); lost > 0 {
		c.logger.LogAttrs(context.Background(), slog.LevelWarn, "tiered: changes that redis didn't take are lost",
			slog.String("cache", c.name), slog.Int("changes", lost))
	}
}

// replayKeys replays some keys. It reports whether any server answered. If none did, those of other keys still may, and a
// breaker opens before many such waits.
func (c *core[T]) replayKeys(ctx context.Context, keys []string) bool {
	var changes []keyWrite[T]
	// A server that was frozen and answers this has executed the commands of all calls that ended before.
	for i, a := range c.remote.Probe(ctx, keys) {
		if a.Err == nil {
			changes = append(changes, keyWrite[T]{ref: keyRef[T]{Key: keys[i], Hash: c.hash(keys[i])}})
		} else {
			c.queue.SetCause(keys[i], a.Err)
		}
	}
	if len(changes) == 0 {
		return false
	}
	// While the keys are locked, no write by this process is under way or can begin. The lock is released even if a call of
	// the replay is still under way: that deletes only the content that it has seen.
	lock, locked, _ := c.lockWrites(ctx, changes, false)
	defer lock.Release()
	c.replayLocked(ctx, locked)
	return true
}

// replayLocked replays the invalidations of locked keys, so that Redis holds nothing older than them.
func (c *core[T]) replayLocked(ctx context.Context, locked []keyWrite[T]) {
	q := c.queue
	keys, invalidations, numbers := q.Invalidations(keysOf(locked, keyWrite[T].key)) // other keys were written meanwhile
	var changed []string                                                             // Redis's keys
	settled := make(map[string]uint64)
	for attempt := 0; attempt < replayLooks && len(keys) > 0; attempt++ {
		var again []string
		var rest []remote.Invalidation
		for i, err := range c.remote.Retract(ctx, keys, invalidations) {
			if err == nil {
				settled[keys[i]] = numbers[keys[i]]
				changed = append(changed, c.remote.Keys.Value(keys[i]))
				continue
			}
			again, rest = append(again, keys[i]), append(rest, invalidations[i])
			if !errors.Is(err, remote.ErrChanged) {
				q.SetCause(keys[i], err)
			}
		}
		keys, invalidations = again, rest
	}
	if err := c.remote.Conn.PublishChanges(ctx, changed); err != nil {
		for key := range settled {
			q.SetCause(key, err)
		}
		return
	}
	q.Settle(settled)
}
