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

// replayLooks is how often a replay tries a key that others keep changing.
const replayLooks = 3

// newQueue returns the write queue of a cache with Redis.
func (t *core[T]) newQueue() *writequeue.Queue {
	return writequeue.New(writequeue.Options{
		Queued: ErrQueued,
		Closed: ErrClosed,
		Now: func() time.Time {
			at, _ := t.remote.Conn.LatestTime()
			return at
		},
		Tags: writequeue.Tags{
			Invalidate:    t.tags.Store.Invalidate,
			InvalidateAll: t.tags.Store.Clear,
			Forget:        t.tags.Invalidated,
			ForgetAll:     t.tags.EpochChanged,
		},
		ReplayKeys: t.replayKeys,
		Go:         t.replayer,
		MaxPause:   t.remote.Conn.Heartbeat,
	})
}

// replayer runs the write queue's replayer in a goroutine that ends with the cache and its Redis. It reports false if one of them
// is already closed.
func (t *core[T]) replayer(run func(context.Context)) bool {
	r := t.remote.Conn
	if !t.life.Begin() {
		return false
	}
	if !r.Calls.Begin() {
		t.life.End()
		return false
	}
	go func() {
		defer t.life.End()
		defer r.Calls.End()
		ctx, cancel := context.WithCancel(t.base)
		defer cancel()
		defer context.AfterFunc(r.Context, cancel)()
		run(ctx)
	}()
	return true
}

// closeQueue makes the last attempt to replay the queue, and logs how much is lost.
func (t *core[T]) closeQueue() {
	// This is time enough for a full queue if Redis answers: that takes twenty requests of a few milliseconds.
	timeout := mono.Times(redisconn.MaxTimeouts, t.remote.Conn.Timeout)
	if lost := t.queue.Close(timeout); lost > 0 {
		t.logger.LogAttrs(context.Background(), slog.LevelWarn, "tiered: changes that redis didn't take are lost",
			slog.String("cache", t.name), slog.Int("changes", lost))
	}
}

// replayKeys replays some keys. It reports whether any server answered. If none did, those of other keys still may, and a
// breaker opens before many such waits.
func (t *core[T]) replayKeys(ctx context.Context, keys []string) bool {
	var changes []keyWrite[T]
	// A server that was frozen and answers this has executed the commands of all calls that ended before.
	for i, a := range t.remote.Probe(ctx, keys) {
		if a.Err == nil {
			changes = append(changes, keyWrite[T]{ref: keyRef[T]{Key: keys[i], Hash: t.hash(keys[i])}})
		} else {
			t.queue.SetCause(keys[i], a.Err)
		}
	}
	if len(changes) == 0 {
		return false
	}
	// While the keys are locked, no write by this process is under way or can begin. The lock is released even if a call of
	// the replay is still under way: that deletes only the content that it has seen.
	lock, inTurn, _ := t.lockWrites(ctx, changes, false)
	defer lock.Release()
	t.replayLocked(ctx, inTurn)
	return true
}

// replayLocked replays the invalidations of locked keys, so that Redis holds nothing older than them.
func (t *core[T]) replayLocked(ctx context.Context, inTurn []keyWrite[T]) {
	q := t.queue
	keys, invalidations, numbers := q.Invalidations(keysOf(inTurn)) // other keys were written meanwhile
	var changed []string                                            // Redis's keys
	settled := make(map[string]uint64)
	for attempt := 0; attempt < replayLooks && len(keys) > 0; attempt++ {
		var again []string
		var rest []remote.Invalidation
		for i, err := range t.remote.Retract(ctx, keys, invalidations) {
			if err == nil {
				settled[keys[i]] = numbers[keys[i]]
				changed = append(changed, t.remote.Keys.Value(keys[i]))
				continue
			}
			again, rest = append(again, keys[i]), append(rest, invalidations[i])
			if !errors.Is(err, remote.ErrChanged) {
				q.SetCause(keys[i], err)
			}
		}
		keys, invalidations = again, rest
	}
	if err := t.remote.Conn.PublishChanges(ctx, changed); err != nil {
		for key := range settled {
			q.SetCause(key, err)
		}
		return
	}
	q.Settle(settled)
}
