package tiered

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

const (
	replaySoon  = 10 * time.Millisecond // a write may have failed by chance
	replayBatch = 500                   // keys in one pipeline
	replayLooks = 3                     // at a key that others keep changing
	// replayReads is how much of a value is read: more than what is needed of a frame, and of most values all. The rest
	// of a large one could take longer than there is time, each time.
	replayReads = 4 << 10
)

// startReplayer starts the goroutine that replays the write queue until there is none, or the cache or its Redis is closed.
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
		defer context.AfterFunc(r.Life, cancel)()
		t.replayAll(ctx)
	}()
	return true
}

func (t *core[T]) replayAll(ctx context.Context) {
	longest := max(t.remote.redis.Heartbeat, replaySoon)
	for pause := replaySoon; !t.queue.stopsIfEmpty(); pause = min(mono.Times(2, pause), longest) {
		wait := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-wait.C:
		case <-t.queue.hurry:
			wait.Stop()
		case <-ctx.Done():
			wait.Stop()
			t.queue.stopped()
			return
		}
		t.replay(ctx, false)
	}
}

// answered is called when Redis has answered.
func (t *core[T]) answered() { t.queue.hasten() }

// lastReplay is called when the cache is closed.
func (t *core[T]) lastReplay() {
	b := t.queue
	if b.waiting() > 0 {
		// As long as Redis answers, so that a full queue is made up for; that takes twenty requests of some milliseconds.
		ctx, cancel := context.WithTimeout(context.Background(), mono.Times(redisconn.MaxTimeouts, t.remote.redis.Timeout))
		defer cancel()
		t.replay(ctx, true)
	}
	if lost := b.close(); lost > 0 {
		t.logger.LogAttrs(context.Background(), slog.LevelWarn, "tiered: changes that redis didn't take are lost",
			slog.String("cache", t.name), slog.Int("changes", lost))
	}
}

// replay tries once to make up for what is queued. What fails stays queued. With last it ends where a server doesn't answer.
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

// replayKeys is replay for some keys. It reports whether a server answered: where those of these keys don't, others may, and a
// breaker opens before that has been waited for often.
func (t *core[T]) replayKeys(ctx context.Context, keys []string) bool {
	var changes []keyWrite[T]
	holds := make([]keyRef[T], len(keys))
	for i, key := range keys {
		holds[i] = keyRef[T]{key: key, hash: t.hash(key)}
	}
	// A server that was frozen, and answers this, has carried out what it was sent by calls that ended before.
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
	// With the turns of the keys no write of this process can be under way, nor begin. They are given back even if a
	// call to Redis still is: it would find that what it is to delete isn't there any more.
	turns, inTurn, _ := t.keys.lockWrites(ctx, changes, false)
	defer turns.done()
	defer turns.done()
	t.makeUp(ctx, inTurn)
	return true
}

// makeUp has the keys in turn hold nothing that is older than what is queued for them.
func (t *core[T]) makeUp(ctx context.Context, inTurn []keyWrite[T]) {
	b := t.queue
	var holds []keyRef[T]
	var debts []queuedInvalidation
	b.mu.Lock()
	for _, ch := range inTurn {
		if d, ok := b.keys[ch.hold.key]; ok { // else it was written meanwhile
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

func pick[E any](all []E, places []int) []E {
	picked := make([]E, len(places))
	for n, i := range places {
		picked[n] = all[i]
	}
	return picked
}

// probe asks the servers of the keys for something.
func (m *remote[T]) probe(ctx context.Context, holds []keyRef[T]) []redisconn.Reply {
	return m.redis.Do(ctx, m.request("replay", holds, func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return to.PTTL(ctx, key)
	}))
}

var errChanged = errors.New("tiered: redis: the key was changed at the same time")

// retract looks at what the keys hold, and deletes it or makes it stale where the queued invalidation says so. It returns an error for each
// key that isn't done with, errChanged if somebody else was quicker.
func (m *remote[T]) retract(ctx context.Context, holds []keyRef[T], debts []queuedInvalidation) (errs []error) {
	errs = make([]error, len(holds))
	var places []int
	var were []redisconn.Expected
	for i, a := range m.redis.Do(ctx, m.request("replay", holds, func(ctx context.Context, to redis.Cmdable, _ int, key string) redis.Cmder {
		return to.GetRange(ctx, key, 0, replayReads-1)
	})) {
		var was redisconn.Expected
		switch {
		case redis.HasErrorPrefix(a.Err, "WRONGTYPE "): // another program's, which a Delete deletes too
			was.Exists = true
		case a.Err != nil:
			errs[i] = a.Err
			continue
		default:
			// Nothing is deleted too: a server that was demoted refuses that. Its master may well have something.
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

// outdates answers what of the bytes that a key holds, or begins with, tells them from others, if the queued invalidation is to be paid with them:
// then seen.there is true. A lease is of a load that may have begun before; another program's value doesn't say how old it is.
func (d queuedInvalidation) outdates(b []byte) redisconn.Expected {
	if l, ok := wire.ParseLease(b); ok {
		return seenLease(l)
	}
	part := len(b) >= replayReads // whether it is whole, and its checksum right, is for those who read it
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

// retracting deletes what is still what was seen, or stamps it as expired with ARGV[3]. What is no
// string is another program's, whenever that came.
const retracting = `local v=redis.pcall('GETRANGE',KEYS[1],0,ARGV[2])
if type(v)=='string' and v~=ARGV[1] then return 0 end
if ARGV[3]=='' then redis.call('DEL',KEYS[1]) else redis.call('SETRANGE',KEYS[1],ARGV[4],ARGV[3]) end
return 1`
