package tiers

import (
	"context"
	"errors"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// The queue itself, and what its goroutine does, are in package writequeue. The tiers lend it the goroutine, and replay the
// invalidations of keys, which need the write locks and the remote tier.

// replayLooks is how often a replay tries a key that others keep changing.
const replayLooks = 3

// replayer runs the write queue's replayer in a goroutine that ends with the cache and its Redis. It reports false if one of them
// is already closed.
func (t *Tiers[T, S]) replayer(run func(context.Context)) bool {
	r := t.Remote.Conn
	if !t.Life.Begin() {
		return false
	}
	if !r.Calls.Begin() {
		t.Life.End()
		return false
	}
	go func() {
		defer t.Life.End()
		defer r.Calls.End()
		ctx, cancel := context.WithCancel(t.Base)
		defer cancel()
		defer context.AfterFunc(r.Context, cancel)()
		run(ctx)
	}()
	return true
}

// replayKeys replays some keys. It reports whether any server answered. If none did, those of other keys still may, and a
// breaker opens before many such waits.
func (t *Tiers[T, S]) replayKeys(ctx context.Context, keys []string) bool {
	var changes []keyWrite[T, S]
	// A server that was frozen and answers this has executed the commands of all calls that ended before.
	for i, a := range t.Remote.Probe(ctx, keys) {
		if a.Err == nil {
			changes = append(changes, keyWrite[T, S]{ref: inflight.Ref[T, S]{Key: keys[i], Hash: t.Hash(keys[i])}})
		} else {
			t.Queue.SetCause(keys[i], a.Err)
		}
	}
	if len(changes) == 0 {
		return false
	}
	// While the keys are locked, no write by this process is under way or can begin. The lock is released even if a call of
	// the replay is still under way: that deletes only the content that it has seen.
	lock, locked, _ := t.lockWrites(ctx, changes, false)
	defer lock.Release()
	t.replayLocked(ctx, locked)
	return true
}

// replayLocked replays the invalidations of locked keys, so that Redis holds nothing older than them.
func (t *Tiers[T, S]) replayLocked(ctx context.Context, locked []keyWrite[T, S]) {
	q := t.Queue
	keys, invalidations, numbers := q.Invalidations(KeysOf(locked, keyWrite[T, S].key)) // other keys were written meanwhile
	var changed []string                                                                // Redis's keys
	settled := make(map[string]uint64)
	for attempt := 0; attempt < replayLooks && len(keys) > 0; attempt++ {
		var again []string
		var rest []remote.Invalidation
		for i, err := range t.Remote.Retract(ctx, keys, invalidations) {
			if err == nil {
				settled[keys[i]] = numbers[keys[i]]
				changed = append(changed, t.Remote.Keys.Value(keys[i]))
				continue
			}
			again, rest = append(again, keys[i]), append(rest, invalidations[i])
			if !errors.Is(err, remote.ErrChanged) {
				q.SetCause(keys[i], err)
			}
		}
		keys, invalidations = again, rest
	}
	if err := t.Remote.Conn.PublishChanges(ctx, changed); err != nil {
		for key := range settled {
			q.SetCause(key, err)
		}
		return
	}
	q.Settle(settled)
}
