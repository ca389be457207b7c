package tiered

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
)

// remote is a cache's part of Redis: it turns keys into Redis's keys, and records into frames and back.
type remote[T any] struct {
	redis *Redis
	space string // what every key begins with
	codec codec.Codec
	stats *counters
}

func newRemote[T any](r *Redis, name string, c codec.Codec, stats *counters) *remote[T] {
	return &remote[T]{redis: r, space: r.prefix + name + ":", codec: c, stats: stats}
}

// read returns what Redis has under the key, fresh or stale, or nil. An error of Redis is counted, and is a miss.
func (m *remote[T]) read(ctx context.Context, key string, p Policy) *record[T] {
	b, err := call(ctx, m.redis, "get", nil, func(ctx context.Context) ([]byte, error) {
		return m.redis.client.Get(ctx, m.space+key).Bytes()
	})
	if err != nil {
		m.countErrors(err, 1)
		return nil
	}
	return m.decode(b, m.redis.now(ctx), p)
}

// readMany is read for many keys in one round trip (per node of a Cluster).
func (m *remote[T]) readMany(ctx context.Context, holds []hold[T], p Policy) []*record[T] {
	records := make([]*record[T], len(holds))
	replies, err := call(ctx, m.redis, "get", nil, func(ctx context.Context) ([]*redis.StringCmd, error) {
		replies := make([]*redis.StringCmd, len(holds))
		// The first error is left out: each command tells its own, and the others may have come through.
		_, _ = m.redis.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, h := range holds {
				replies[i] = pipe.Get(ctx, m.space+h.key)
			}
			return nil
		})
		return replies, nil
	})
	if err != nil {
		m.countErrors(err, len(holds))
		return records
	}
	at := m.redis.now(ctx)
	for i, reply := range replies {
		b, err := reply.Bytes()
		if err != nil {
			m.countErrors(err, 1)
			continue
		}
		records[i] = m.decode(b, at, p)
	}
	return records
}

func (m *remote[T]) countErrors(err error, n int) {
	if !errors.Is(err, redis.Nil) && !errors.Is(err, context.Canceled) {
		m.stats.redisErrors.Add(uint64(n))
	}
}

// decode makes a record of what Redis holds; nil if it can't be one of this cache's.
func (m *remote[T]) decode(b []byte, at time.Time, p Policy) *record[T] {
	read := now()
	r := &record[T]{created: read, freshUntil: read.add(p.localTTL())}
	payload := b
	if isFrame(b) {
		f, err := parseFrame(b)
		if err != nil || f.codec != m.codec.Name() {
			m.stats.codecErrors.Add(1)
			return nil
		}
		age := max(0, at.Sub(f.created))
		r.created, r.freshUntil = read.add(-age), read.add(f.freshFor-age)
		r.absent, r.tags, payload = f.notFound, f.tags, f.payload
	}
	if r.absent {
		return r
	}
	if err := m.codec.Unmarshal(payload, &r.value); err != nil {
		m.stats.codecErrors.Add(1)
		return nil
	}
	return r
}

// encode returns the frame that read makes a record of again.
func (m *remote[T]) encode(ctx context.Context, r *record[T]) ([]byte, error) {
	f := frame{
		notFound: r.absent,
		codec:    m.codec.Name(),
		created:  m.redis.now(ctx),
		freshFor: r.freshUntil.since(r.created),
		tags:     r.tags,
	}
	if !r.absent {
		var err error
		if f.payload, err = m.codec.Marshal(r.value); err != nil {
			m.stats.codecErrors.Add(1)
			return nil, fmt.Errorf("tiered: encoding a value: %w", err)
		}
	}
	return f.append(make([]byte, 0, f.size())), nil
}

// write makes the changes in one round trip (per node of a Cluster), and returns the first error. ended is called when
// nothing more of it can come to Redis from here.
func (m *remote[T]) write(ctx context.Context, changes []change[T], ended func()) error {
	if len(changes) == 0 {
		ended()
		return nil
	}
	cmds, err := call(ctx, m.redis, "write", ended, func(ctx context.Context) ([]redis.Cmder, error) {
		if len(changes) == 1 {
			return nil, m.queue(ctx, m.redis.client, changes[0]).Err()
		}
		cmds, _ := m.redis.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, ch := range changes {
				m.queue(ctx, pipe, ch)
			}
			return nil
		})
		return cmds, nil
	})
	if err != nil {
		m.countErrors(err, len(changes))
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			m.countErrors(cmd.Err(), 1)
			err = cmp.Or(err, fmt.Errorf("tiered: redis: write: %w", cmd.Err()))
		}
	}
	return err
}

// queue gives a change to Redis, or to a pipeline.
func (m *remote[T]) queue(ctx context.Context, to redis.Cmdable, ch change[T]) redis.Cmder {
	key := m.space + ch.hold.key
	if ch.frame == nil {
		return to.Del(ctx, key)
	}
	return to.Set(ctx, key, ch.frame, ch.ttl)
}
