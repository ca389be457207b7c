package tiered

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

const (
	replaySoon  = 10 * time.Millisecond // the first pause: a write may have failed by chance
	replayBatch = 500                   // keys in one pipeline
	replayLooks = 3                     // attempts at a key that others keep changing
)

// startReplayer starts the goroutine that replays the write queue until it is empty, or the cache or its Redis is closed. It
// reports false if one of them is already closed.
func (t *core[T]) startReplayer() bool {
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
		t.replayAll(ctx)
	}()
	return true
}

// replayAll replays the queue until it is empty or ctx is done, with growing pauses between attempts.
func (t *core[T]) replayAll(ctx context.Context) {
	longest := max(t.remote.Conn.Heartbeat, replaySoon)
	for pause := replaySoon; !t.queue.stopsIfEmpty(); pause = min(mono.Times(2, pause), longest) {
		if !mono.Sleep(ctx, mono.Jitter(pause), t.queue.wake) {
			t.queue.stopped()
			return
		}
		t.replay(ctx, false)
	}
}

// answered makes the replayer try at once, because Redis has answered.
func (t *core[T]) answered() { t.queue.retryNow() }

// lastReplay replays the queue once more when the cache is closed, and logs how much is lost.
func (t *core[T]) lastReplay() {
	b := t.queue
	if b.waiting() > 0 {
		// This is time enough for a full queue if Redis answers: that takes twenty requests of a few milliseconds.
		ctx, cancel := context.WithTimeout(context.Background(), mono.Times(redisconn.MaxTimeouts, t.remote.Conn.Timeout))
		defer cancel()
		t.replay(ctx, true)
	}
	if lost := b.close(); lost > 0 {
		t.logger.LogAttrs(context.Background(), slog.LevelWarn, "tiered: changes that redis didn't take are lost",
			slog.String("cache", t.name), slog.Int("changes", lost))
	}
}

// replay tries once to replay the queue. Invalidations that fail stay queued. With last it ends when a server doesn't answer.
func (t *core[T]) replay(ctx context.Context, last bool) {
	t.replayTags(ctx)
	b := t.queue
	b.mu.Lock()
	keys := slices.Collect(maps.Keys(b.keys))
	b.mu.Unlock()
	for batch := range slices.Chunk(keys, replayBatch) {
		if ctx.Err() != nil {
			return
		}
		if !t.replayKeys(ctx, batch) && last {
			return
		}
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
			t.queue.setCause(keys[i], a.Err)
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
	b := t.queue
	var keys []string
	var invalidations []remote.Invalidation
	queued := make(map[string]uint64) // their numbers, by key
	b.mu.Lock()
	for _, ch := range inTurn {
		if d, ok := b.keys[ch.ref.Key]; ok { // otherwise the key was written meanwhile
			keys, invalidations = append(keys, ch.ref.Key), append(invalidations, d.Invalidation)
			queued[ch.ref.Key] = d.number
		}
	}
	b.mu.Unlock()
	var changed []string // Redis's keys
	settled := make(map[string]uint64)
	for attempt := 0; attempt < replayLooks && len(keys) > 0; attempt++ {
		var again []string
		var rest []remote.Invalidation
		for i, err := range t.remote.Retract(ctx, keys, invalidations) {
			if err == nil {
				settled[keys[i]] = queued[keys[i]]
				changed = append(changed, t.remote.Keys.Value(keys[i]))
				continue
			}
			again, rest = append(again, keys[i]), append(rest, invalidations[i])
			if !errors.Is(err, remote.ErrChanged) {
				b.setCause(keys[i], err)
			}
		}
		keys, invalidations = again, rest
	}
	if err := t.remote.Conn.PublishChanges(ctx, changed); err != nil {
		for key := range settled {
			b.setCause(key, err)
		}
		return
	}
	b.remove(func() {
		for key, number := range settled {
			if b.keys[key].number == number {
				delete(b.keys, key)
			}
		}
	})
	b.done.Add(uint64(len(settled)))
}
