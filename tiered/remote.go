package tiered

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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
	key := func(i int) string { return m.space + holds[i].key }
	replies := make([]*redis.StringCmd, len(holds)) // nil: the whole call failed
	eachGroup(m.redis.byNode(ctx, len(holds), key), func(group []int) {
		cmds, err := m.pipelined(ctx, "get", nil, func(ctx context.Context, pipe redis.Pipeliner) {
			for _, i := range group {
				pipe.Get(ctx, key(i))
			}
		})
		if err != nil {
			m.countErrors(err, len(group))
			return
		}
		for n, i := range group {
			replies[i], _ = cmds[n].(*redis.StringCmd)
		}
	})
	records := make([]*record[T], len(holds))
	at := m.redis.now(ctx)
	for i, reply := range replies {
		if reply == nil {
			continue
		}
		if b, err := reply.Bytes(); err != nil {
			m.countErrors(err, 1)
		} else {
			records[i] = m.decode(b, at, p)
		}
	}
	return records
}

// pipelined makes one call of many commands, each of which tells its own error: one may fail where others come through.
func (m *remote[T]) pipelined(ctx context.Context, name string, ended func(),
	queue func(context.Context, redis.Pipeliner)) ([]redis.Cmder, error) {
	return call(ctx, m.redis, name, ended, func(ctx context.Context) ([]redis.Cmder, error) {
		cmds, _ := m.redis.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			queue(ctx, pipe)
			return nil
		})
		return cmds, nil
	})
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

// write makes the changes in one round trip (per node of a Cluster), and returns one of the errors. ended is called when
// nothing more of it can come to Redis from here.
func (m *remote[T]) write(ctx context.Context, changes []change[T], ended func()) error {
	switch len(changes) {
	case 0:
		ended()
		return nil
	case 1:
		_, err := call(ctx, m.redis, "write", ended, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, m.queue(ctx, m.redis.client, changes[0]).Err()
		})
		if err != nil {
			m.countErrors(err, 1)
		}
		return err
	}
	groups := m.redis.byNode(ctx, len(changes), func(i int) string { return m.space + changes[i].hold.key })
	var underWay atomic.Int32
	underWay.Store(int32(len(groups)))
	var failure atomic.Pointer[error]
	eachGroup(groups, func(group []int) {
		err := m.writeGroup(ctx, changes, group, func() {
			if underWay.Add(-1) == 0 {
				ended()
			}
		})
		if err != nil {
			failure.Store(&err)
		}
	})
	if err := failure.Load(); err != nil {
		return *err
	}
	return nil
}

// writeGroup makes those of the changes that one node has.
func (m *remote[T]) writeGroup(ctx context.Context, changes []change[T], group []int, ended func()) (err error) {
	cmds, err := m.pipelined(ctx, "write", ended, func(ctx context.Context, pipe redis.Pipeliner) {
		for _, i := range group {
			m.queue(ctx, pipe, changes[i])
		}
	})
	if err != nil {
		m.countErrors(err, len(group))
		return err
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			m.countErrors(cmd.Err(), 1)
			err = fmt.Errorf("tiered: redis: write: %w", cmd.Err())
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
