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

// A value stands while its load has the lease beside it. Redis may let it expire before the load is over, and who then finds
// nothing would take a lease in its place. So Redis keeps a value that may be loaded beside for leaseMax longer than it is of
// use (see stays), and in that last stretch the lease beside it becomes one in its place.

// standScript answers for how long Redis keeps what was seen, in milliseconds, or puts the lease in its place if that is no
// longer than ARGV[5]. The answer to an earlier attempt may have been lost.
const standScript = `if redis.call('GETRANGE',KEYS[1],0,ARGV[6])~=string.sub(ARGV[3],1,ARGV[6]+1) then
if redis.call('GETRANGE',KEYS[1],0,ARGV[2])~=ARGV[1] then return -3 end
local left=redis.call('PTTL',KEYS[1])
if left<0 or left>tonumber(ARGV[5]) then return left end
end
redis.call('SET',KEYS[1],ARGV[3],'PX',ARGV[4])
return -2`

const (
	standsForGood = -1 // Redis doesn't let it expire
	madeWay       = -2 // for the lease
	standsNoMore  = -3 // something else is there, or nothing
)

// stand is standScript for what the tasks' leases are beside.
func (m *remote[T]) stand(ctx context.Context, claims []*task[T], l wire.Lease, w *wire.Windows) []redisconn.Reply {
	holds, was, last := make([]keyRef[T], len(claims)), make([]redisconn.Expected, len(claims)), make([]int64, len(claims))
	for i, cl := range claims { // not as they are sent: that may be when they were given up
		holds[i], was[i], last[i] = cl.flight.keyRef, cl.found.seen, -1
		if cl.found.use(w) < record.WhileRevalidate { // nobody is served it at once
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

// moveLeases looks at what the tasks' leases were taken beside, and moves those that have to be in its place by now. It returns
// the tasks whose values were replaced since they were read.
func (t *heldLeases[T]) moveLeases(ctx context.Context, claims []*task[T]) (replaced []*task[T]) {
	t.movingMu.Lock()
	defer t.movingMu.Unlock()
	return t.checkMoving(ctx, claims)
}

// moveDueLeases is uphold for the leases that may have to move by now, unless the loads are over.
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

// checkMoving is called with moving.
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
			t.add(cl.flight.keyRef, key) // Redis may have it
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

// giveBack releases the leases of some keys.
func (t *heldLeases[T]) giveBack(ctx context.Context, redisKeys []string) {
	if len(redisKeys) > 0 {
		t.drop(redisKeys)
		t.cache.remote.release(context.WithoutCancel(ctx), redisKeys, t.seen)
	}
}

// stopMoving has the leases stay where they are: they are about to be replaced by what was loaded, or released.
func (t *heldLeases[T]) stopMoving() {
	if t == nil {
		return
	}
	t.movingMu.Lock()
	defer t.movingMu.Unlock()
	t.moving = nil
}
