package tiered

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// While a load holds a refresh lease, the old value stays in Redis. If it expired before the load ended, another process would
// find neither value nor lease under the key and load again. So Redis keeps such a value for wire.MaxLease longer than it is of
// use, and during that time the load replaces the value with a primary lease: the lease moves.

// standScript returns how long Redis keeps the value that was seen, in milliseconds. If that is at most ARGV[5], the script
// replaces the value with the lease. It accepts a lease already there: the reply to an earlier attempt may have been lost.
const standScript = `if redis.call('GETRANGE',KEYS[1],0,ARGV[6])~=string.sub(ARGV[3],1,ARGV[6]+1) then
if redis.call('GETRANGE',KEYS[1],0,ARGV[2])~=ARGV[1] then return -3 end
local left=redis.call('PTTL',KEYS[1])
if left<0 or left>tonumber(ARGV[5]) then return left end
end
redis.call('SET',KEYS[1],ARGV[3],'PX',ARGV[4])
return -2`

const (
	standsForGood = -1 // the value has no expiry
	madeWay       = -2 // the lease has replaced the value
	standsNoMore  = -3 // the key has other bytes, or none
)

// stand runs standScript for the old values of the tasks.
func (m *remote[T]) stand(ctx context.Context, claims []*task[T], l wire.Lease, w *wire.Windows) []redisconn.Reply {
	holds, was, last := make([]keyRef[T], len(claims)), make([]redisconn.Expected, len(claims)), make([]int64, len(claims))
	for i, cl := range claims { // copied now: a request may be sent after its caller gave up, and the tasks change
		holds[i], was[i], last[i] = cl.flight.keyRef, cl.found.seen, -1
		if cl.found.use(w) < record.WhileRevalidate { // no caller is served it without waiting
			last[i] = wire.MaxLease.Milliseconds()
		}
	}
	value, is := l.Bytes(), seenLease(l)
	answers := m.redis.Do(ctx, m.request("lease", holds, func(ctx context.Context, to redis.Cmdable, i int, key string) redis.Cmder {
		return to.Eval(ctx, standScript, []string{key}, was[i].Bytes, was[i].End(), value, l.TTL.Milliseconds(), last[i], is.End())
	}))
	m.stats.countErrors(answers)
	return answers
}

// moveLeases checks the old values of the tasks, and moves the leases whose value is about to expire. It returns the tasks
// whose values have been replaced since they were read.
func (t *heldLeases[T]) moveLeases(ctx context.Context, claims []*task[T]) (replaced []*task[T]) {
	t.movingMu.Lock()
	defer t.movingMu.Unlock()
	return t.checkMoving(ctx, claims)
}

// moveDueLeases is moveLeases for the leases that may have to move now. After stopMoving it does nothing.
func (t *heldLeases[T]) moveDueLeases(ctx context.Context) {
	t.movingMu.Lock()
	defer t.movingMu.Unlock()
	var due []*task[T]
	last := mono.Now().Add(wire.MaxLease)
	t.moving = slices.DeleteFunc(t.moving, func(cl *task[T]) bool {
		is := cl.lasts <= last
		if is {
			due = append(due, cl)
		}
		return is
	})
	t.checkMoving(ctx, due)
}

// checkMoving does the work of moveLeases. The caller holds movingMu.
func (t *heldLeases[T]) checkMoving(ctx context.Context, claims []*task[T]) (replaced []*task[T]) {
	m := t.cache.remote
	var moved []string
	for i, a := range m.stand(ctx, claims, t.current(), &t.cache.windows) {
		cl := claims[i]
		key, left := m.key(cl.flight.keyRef), int64(0)
		if a.Err == nil {
			left, _ = a.Value.(*redis.Cmd).Val().(int64)
		}
		switch {
		case a.Err != nil:
			t.add(cl.flight.keyRef, key) // Redis may have stored the lease
			t.moving = append(t.moving, cl)
		case left == madeWay:
			cl.leased = primaryLease
			t.add(cl.flight.keyRef, key)
			moved = append(moved, m.besideKey(cl.flight.keyRef))
		case left == standsNoMore:
			replaced = append(replaced, cl)
		case left != standsForGood:
			cl.lasts = mono.Now().Add(mono.Millis(left))
			t.moving = append(t.moving, cl)
		}
	}
	t.giveBack(ctx, moved)
	return replaced
}

// giveBack releases the leases of these keys.
func (t *heldLeases[T]) giveBack(ctx context.Context, redisKeys []string) {
	if len(redisKeys) > 0 {
		t.drop(redisKeys)
		t.cache.remote.release(context.WithoutCancel(ctx), redisKeys, t.seen)
	}
}

// stopMoving keeps the leases where they are: the loaded values are about to replace them, or they are about to be released.
func (t *heldLeases[T]) stopMoving() {
	if t == nil {
		return
	}
	t.movingMu.Lock()
	defer t.movingMu.Unlock()
	t.moving = nil
}
