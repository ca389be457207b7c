package remote

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Lease tries to replace the content seen under the keys with a primary lease. [Leased] reports whether a reply is a success.
func (t *Tier[T]) Lease(ctx context.Context, keys []string, seen []redisconn.Expected, l wire.Lease) []redisconn.Reply {
	return t.lease(ctx, t.redisKeys(keys), seen, l)
}

// lease is Lease for Redis's keys.
func (t *Tier[T]) lease(ctx context.Context, redisKeys []string, seen []redisconn.Expected, l wire.Lease) []redisconn.Reply {
	value := l.Bytes()
	size := func(i int) int { return len(seen[i].Bytes) }
	replies := t.do(ctx, redisconn.Request{Name: "lease", Keys: redisKeys, Size: size, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		if !seen[i].Exists {
			return to.SetNX(ctx, redisKeys[i], value, l.TTL)
		}
		return redisconn.CompareAndSet{Expected: seen[i], To: value, TTL: l.TTL}.Queue(ctx, to, redisKeys[i])
	}})
	t.countErrors(replies)
	return replies
}

// Leased reports whether a reply to Lease is a success.
func Leased(a redisconn.Reply) bool {
	cmd, ok := a.Value.(*redis.BoolCmd)
	return ok && a.Err == nil && cmd.Val() || a.Swapped()
}

// secondaryLeaseScript returns the lease under the key, or sets one if there is none.
const secondaryLeaseScript = `local v=redis.pcall('GET',KEYS[1])
if type(v)=='string' then return v end
redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2])
return false`

// LeaseSecondary tries to set the lease under the second keys of the keys, so that the values stay under their own. [Holder] reads
// the replies.
func (t *Tier[T]) LeaseSecondary(ctx context.Context, keys []string, l wire.Lease) []redisconn.Reply {
	value := l.Bytes()
	second := make([]string, len(keys))
	for i, key := range keys {
		second[i] = t.Keys.Lease(key)
	}
	replies := t.do(ctx, redisconn.Request{Name: "lease", Keys: second, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return to.Eval(ctx, secondaryLeaseScript, second[i:i+1], value, l.TTL.Milliseconds())
	}})
	t.countErrors(replies)
	return replies
}

// Holder returns the lease of another holder from a reply to LeaseSecondary, or nil if there is none.
func Holder(a redisconn.Reply) []byte {
	if cmd, ok := a.Value.(*redis.Cmd); ok && a.Err == nil {
		if s, ok := cmd.Val().(string); ok {
			return []byte(s)
		}
	}
	return nil
}

// Unchanged reports for each key whether it still holds what was seen there, or Redis can't be asked.
func (t *Tier[T]) Unchanged(ctx context.Context, keys []string, seen []redisconn.Expected) []bool {
	replies := t.do(ctx, t.request("get", keys, func(ctx context.Context, to redis.Cmdable, i int, key string) redis.Cmder {
		return to.GetRange(ctx, key, 0, int64(seen[i].End()))
	}))
	t.countErrors(replies)
	same := make([]bool, len(replies))
	for i, a := range replies {
		b, _ := a.Bytes()
		same[i] = string(b) == seen[i].Bytes || a.Err != nil && !redis.HasErrorPrefix(a.Err, wrongType)
	}
	return same
}

// extend renews the lease's TTL under the keys of Redis that still hold it.
func (t *Tier[T]) extend(ctx context.Context, redisKeys []string, l wire.Lease) []redisconn.Reply {
	seen := make([]redisconn.Expected, len(redisKeys))
	for i := range seen {
		seen[i] = SeenLease(l)
	}
	return t.lease(ctx, redisKeys, seen, l)
}

// release deletes the lease from the keys of Redis that still hold it.
func (t *Tier[T]) release(ctx context.Context, redisKeys []string, seen redisconn.Expected) {
	t.change(ctx, redisconn.Request{Name: "release", Keys: redisKeys, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		return redisconn.CompareAndSet{Expected: seen}.Queue(ctx, to, redisKeys[i])
	}})
}

// SeenLease returns what a store expects to replace: the lease, however often it was extended.
func SeenLease(l wire.Lease) redisconn.Expected {
	return redisconn.Expected{Exists: true, Bytes: l.Head(), Head: true}
}
