package tiered

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// lease tries to replace the content seen under Redis's keys with the lease. leased reports whether a reply is a success.
func (m *remote[T]) lease(ctx context.Context, keys []string, was []redisconn.Expected, l wire.Lease) []redisconn.Reply {
	value := l.Bytes()
	size := func(i int) int { return len(was[i].Bytes) }
	answers := m.redis.Do(ctx, redisconn.Request{Name: "lease", Keys: keys, Size: size, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		if !was[i].Exists {
			return to.SetNX(ctx, keys[i], value, l.TTL)
		}
		return redisconn.CompareAndSet{Expected: was[i], To: value, TTL: l.TTL}.Queue(ctx, to, keys[i])
	}})
	m.countErrors(answers)
	return answers
}

// besideScript returns the lease under the key, or sets one if there is none.
const besideScript = `local v=redis.pcall('GET',KEYS[1])
if type(v)=='string' then return v end
redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2])
return false`

// leaseBeside tries to set the lease under the keys of besideKey, so that the values stay under their own.
func (m *remote[T]) leaseBeside(ctx context.Context, keys []string, l wire.Lease) []redisconn.Reply {
	value := l.Bytes()
	answers := m.redis.Do(ctx, redisconn.Request{Name: "lease", Keys: keys, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return to.Eval(ctx, besideScript, keys[i:i+1], value, l.TTL.Milliseconds())
	}})
	m.countErrors(answers)
	return answers
}

// theirs returns another process's lease from a reply to leaseBeside, or nil if there is none.
func theirs(a redisconn.Reply) []byte {
	if cmd, ok := a.Value.(*redis.Cmd); ok && a.Err == nil {
		if s, ok := cmd.Val().(string); ok {
			return []byte(s)
		}
	}
	return nil
}

// unchanged reports for each key whether it still holds what was seen there, or Redis can't be asked.
func (m *remote[T]) unchanged(ctx context.Context, holds []keyRef[T], was []redisconn.Expected) []bool {
	answers := m.redis.Do(ctx, m.request("get", holds, func(ctx context.Context, to redis.Cmdable, i int, key string) redis.Cmder {
		return to.GetRange(ctx, key, 0, int64(was[i].End()))
	}))
	m.countErrors(answers)
	same := make([]bool, len(answers))
	for i, a := range answers {
		b, _ := a.Bytes()
		same[i] = a.Err != nil || string(b) == was[i].Bytes
	}
	return same
}

// extend renews the lease's TTL under the keys that still hold it.
func (m *remote[T]) extend(ctx context.Context, keys []string, l wire.Lease) []redisconn.Reply {
	is := make([]redisconn.Expected, len(keys))
	for i := range is {
		is[i] = seenLease(l)
	}
	return m.lease(ctx, keys, is, l)
}

// release deletes the lease from the keys that still hold it.
func (m *remote[T]) release(ctx context.Context, keys []string, is redisconn.Expected) {
	m.settle(ctx, redisconn.Request{Name: "release", Keys: keys, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return redisconn.CompareAndSet{Expected: is}.Queue(ctx, to, keys[i])
	}})
}

// leased reports whether a reply to lease is a success.
func leased(a redisconn.Reply) bool {
	cmd, ok := a.Value.(*redis.BoolCmd)
	return ok && a.Err == nil && cmd.Val() || a.Swapped()
}

// seenLease returns what a store expects to replace: the lease, however often it was extended.
func seenLease(l wire.Lease) redisconn.Expected {
	return redisconn.Expected{Exists: true, Bytes: string(l.Bytes()[:wire.LeaseHead]), Head: true}
}
