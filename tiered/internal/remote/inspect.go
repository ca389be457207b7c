package remote

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Content is everything that Redis has for a key.
type Content struct {
	Err      error // Redis can't be read
	Bytes    []byte
	Exists   bool
	TTL      time.Duration // negative: the key doesn't expire
	Lease    []byte        // the lease under a key of its own; nil: none
	LeaseTTL time.Duration
}

// Inspect reads everything that Redis has for a key, and changes nothing.
func (t *Tier[T]) Inspect(ctx context.Context, key string) Content {
	value, lease := t.Keys.Value(key), t.Keys.Lease(key)
	keys := []string{value, value, lease, lease}
	replies := t.do(ctx, redisconn.Request{Name: "inspect", Keys: keys, Values: true, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		if i%2 == 0 {
			return to.Get(ctx, keys[i])
		}
		return pttl(ctx, to, keys[i])
	}})
	t.countErrors(replies)
	c := Content{Err: redisconn.FirstError(replies)}
	if c.Err != nil {
		return c
	}
	c.Bytes, c.Exists = replies[0].Bytes()
	c.Lease, _ = replies[2].Bytes()
	c.TTL, c.LeaseTTL = ttlOf(&replies[1]), ttlOf(&replies[3])
	return c
}

// ttlOf returns the TTL in a reply to PTTL, which is negative if there is none.
func ttlOf(r *redisconn.Reply) time.Duration {
	return mono.Millis(r.Value.(*redis.IntCmd).Val())
}

// DecodePayload decodes the payload of a frame under the key, or what another program wrote there.
func (t *Tier[T]) DecodePayload(key string, b []byte) (value T, err error) {
	_, err = t.values.Decode(key, b, false, &value)
	return value, err
}

// IsOwn reports whether a frame is of this cache's codec and schema.
func (t *Tier[T]) IsOwn(f *wire.Frame) bool {
	return f.Codec == t.values.Name && f.Schema == t.values.Schema
}
