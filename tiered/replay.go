package tiered

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

const (
	replaySoon  = 10 * time.Millisecond // the first pause: a write may have failed by chance
	replayBatch = 500                   // keys in one pipeline
	replayLooks = 3                     // attempts at a key that others keep changing
	// replayReads is how many bytes of a value are read: more than a frame's head, and all of most values. Reading a large
	// value whole could exceed the timeout each time.
	replayReads = 4 << 10
)

// startReplayer starts the goroutine that replays the write queue until it is empty, or the cache or its Redis is closed. It
// reports false if one of them is already closed.
func (t *core[T]) startReplayer() bool {
	r := t.remote.redis
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
	longest := max(t.remote.redis.Heartbeat, replaySoon)
	for pause := replaySoon; !t.queue.stopsIfEmpty(); pause = min(mono.Times(2, pause), longest) {
		if !mono.Sleep(ctx, mono.Jitter(pause), t.queue.hurry) {
			t.queue.stopped()
			return
		}
		t.replay(ctx, false)
	}
}

// answered makes the replayer try at once, because Redis has answered.
func (t *core[T]) answered() { t.queue.hasten() }

// lastReplay replays the queue once more when the cache is closed, and logs how much is lost.
func (t *core[T]) lastReplay() {
	b := t.queue
	if b.waiting() > 0 {
		// This is time enough for a full queue if Redis answers: that takes twenty requests of a few milliseconds.
		ctx, cancel := context.WithTimeout(context.Background(), mono.Times(redisconn.MaxTimeouts, t.remote.redis.Timeout))
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
	t.replayLedger(ctx)
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
	holds := make([]keyRef[T], len(keys))
	for i, key := range keys {
		holds[i] = keyRef[T]{key: key, hash: t.hash(key)}
	}
	// A server that was frozen and answers this has executed the commands of all calls that ended before.
	for i, a := range t.remote.probe(ctx, holds) {
		if a.Err == nil {
			changes = append(changes, keyWrite[T]{hold: holds[i]})
		} else {
			t.queue.blame(keys[i], a.Err)
		}
	}
	if len(changes) == 0 {
		return false
	}
	// While the keys are locked, no write by this process is under way or can begin. The lock is released even if a call of
	// the replay is still under way: that deletes only the content that it has seen.
	turns, inTurn, _ := t.keys.lockWrites(ctx, changes, false)
	defer turns.done()
	defer turns.done()
	t.makeUp(ctx, inTurn)
	return true
}

// makeUp replays the invalidations of locked keys, so that Redis holds nothing older than them.
func (t *core[T]) makeUp(ctx context.Context, inTurn []keyWrite[T]) {
	b := t.queue
	var holds []keyRef[T]
	var debts []queuedInvalidation
	b.mu.Lock()
	for _, ch := range inTurn {
		if d, ok := b.keys[ch.hold.key]; ok { // otherwise the key was written meanwhile
			holds, debts = append(holds, ch.hold), append(debts, d)
		}
	}
	b.mu.Unlock()
	var paid []string
	settled := make(map[string]uint64)
	for range replayLooks {
		if len(holds) == 0 {
			break
		}
		var again []int
		for i, err := range t.remote.retract(ctx, holds, debts) {
			if err == nil {
				settled[holds[i].key] = debts[i].number
				paid = append(paid, t.remote.keys.Values+holds[i].key)
				continue
			}
			again = append(again, i)
			if !errors.Is(err, errChanged) {
				b.blame(holds[i].key, err)
			}
		}
		holds, debts = pick(holds, again), pick(debts, again)
	}
	if err := t.remote.redis.PublishChanges(ctx, paid); err != nil {
		for key := range settled {
			b.blame(key, err)
		}
		return
	}
	b.pay(func() {
		for key, number := range settled {
			if b.keys[key].number == number {
				delete(b.keys, key)
			}
		}
	})
	b.done.Add(uint64(len(settled)))
}

// pick returns the elements at the places.
func pick[E any](all []E, places []int) []E {
	picked := make([]E, len(places))
	for n, i := range places {
		picked[n] = all[i]
	}
	return picked
}

// probe sends a command for each key, to learn whether its server answers.
func (m *remote[T]) probe(ctx context.Context, holds []keyRef[T]) []redisconn.Reply {
	return m.redis.Do(ctx, m.request("replay", holds, func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return to.PTTL(ctx, key)
	}))
}

var errChanged = errors.New("tiered: redis: the key was changed at the same time")

// retract reads the keys, and deletes their content or makes it stale if the queued invalidation applies to it. It returns an
// error for each key that must be tried again: errChanged if its content changed at the same time.
func (m *remote[T]) retract(ctx context.Context, holds []keyRef[T], debts []queuedInvalidation) (errs []error) {
	errs = make([]error, len(holds))
	var places []int
	var were []redisconn.Expected
	for i, a := range m.redis.Do(ctx, m.request("replay", holds, func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return to.GetRange(ctx, key, 0, replayReads-1)
	})) {
		var was redisconn.Expected
		switch {
		case redis.HasErrorPrefix(a.Err, "WRONGTYPE "): // another program's value, which a Delete deletes too
			was.Exists = true
		case a.Err != nil:
			errs[i] = a.Err
			continue
		default:
			// A missing key is deleted too: a demoted server refuses that, and its master may have the key.
			b, _ := a.Value.(*redis.StringCmd).Bytes()
			was = debts[i].outdates(b)
		}
		if was.Exists {
			places, were = append(places, i), append(were, was)
		}
	}
	answers := m.redis.Do(ctx, m.request("replay", pick(holds, places), func(ctx context.Context, to redis.Cmdable, n int, key string) redis.Cmder {
		was, mark := were[n], ""
		if debts[places[n]].expire && was.Head && len(was.Bytes) == wire.FrameHead && wire.IsFrame([]byte(was.Bytes)) {
			mark = string([]byte{was.Bytes[wire.ExpiredAt]%255 + 1})
		}
		return to.Eval(ctx, retracting, []string{key}, was.Bytes, was.End(), mark, wire.ExpiredAt)
	}))
	for n, a := range answers {
		if !a.Swapped() {
			errs[places[n]] = cmp.Or(a.Err, errChanged)
		}
	}
	return errs
}

// outdates returns the content to be removed from a key that holds b, or begins with b if that is replayReads long. Exists is
// false if the content is newer than the invalidation. A lease may be of a load that began before the invalidation, and another
// program's value has no time, so these are always removed.
func (d queuedInvalidation) outdates(b []byte) redisconn.Expected {
	if l, ok := wire.ParseLease(b); ok {
		return seenLease(l)
	}
	part := len(b) >= replayReads // readers check the rest of the frame, and its checksum
	f, err := wire.ParseFrame(b)
	if part {
		f, err = wire.ParseFrameTimes(b)
	}
	switch {
	case err != nil:
		return redisconn.Expected{Exists: true, Bytes: string(b), Head: part}
	case !d.until.IsZero() && f.Began().After(d.until):
		return redisconn.Expected{}
	}
	return redisconn.Expected{Exists: true, Bytes: string(b[:wire.FrameHead]), Head: true}
}

// retracting deletes the key if it still holds the content seen, or marks it as expired with ARGV[3]. A value of another type is
// another program's, and always deleted.
const retracting = `local v=redis.pcall('GETRANGE',KEYS[1],0,ARGV[2])
if type(v)=='string' and v~=ARGV[1] then return 0 end
if ARGV[3]=='' then redis.call('DEL',KEYS[1]) else redis.call('SETRANGE',KEYS[1],ARGV[4],ARGV[3]) end
return 1`
