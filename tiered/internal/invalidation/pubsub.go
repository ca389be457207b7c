package invalidation

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// pubsub is the channel on which the caches of all processes publish what they change, and another one for this Redis
// object's canaries. In a Cluster all of it goes through one node, the one that the channel's name hashes to, which keeps
// the order of what it is given.
type pubsub struct {
	redis   *Streams
	node    func(ctx context.Context) (*redis.Client, error)
	name    string
	garbled atomic.Bool // and said so
}

func newPubSub(r *Streams) (*pubsub, error) {
	b := &pubsub{redis: r}
	switch client := r.Client.(type) {
	case *redis.Client:
		b.name = client.Options().Addr
		b.node = func(context.Context) (*redis.Client, error) { return client, nil }
	case *redis.ClusterClient:
		b.name = "cluster"
		b.node = func(ctx context.Context) (*redis.Client, error) { return client.MasterForKey(ctx, b.changes()) }
	default:
		return nil, fmt.Errorf("tiered: NewRedis: PubSub takes a *redis.Client or a *redis.ClusterClient, not a %T: "+
			"want one of those, or RedisOptions.Invalidation: None", client)
	}
	return b, nil
}

func (b *pubsub) changes() string { return b.redis.ControlPrefix() + "changes" }

func (b *pubsub) canaries() string { return b.redis.ControlPrefix() + b.redis.ID }

func (b *pubsub) server(ctx context.Context) (*redis.Options, error) {
	node, err := b.node(ctx)
	if err != nil {
		return nil, err
	}
	return node.Options(), nil
}

func (b *pubsub) handshake(context.Context, *redis.Conn) error { return nil }

func (b *pubsub) channels() []string { return []string{b.changes(), b.canaries()} }

func (b *pubsub) sendCanary(ctx context.Context, at mono.Instant) error {
	node, err := b.node(ctx)
	if err != nil {
		return err
	}
	return briefly(node, b.redis.Timeout).Publish(ctx, b.canaries(), int64(at)).Err()
}

func (b *pubsub) handle(s *stream, message any) {
	m, ok := message.(*redis.Message)
	if !ok {
		return
	}
	if m.Channel == b.canaries() {
		if at, err := strconv.ParseInt(m.Payload, 10, 64); err == nil {
			s.canaryReported(mono.Instant(at))
		}
		return
	}
	sender, keys, err := wire.ParseMessage(m.Payload)
	if err != nil {
		if !b.garbled.Swap(true) {
			s.log(slog.LevelWarn, "tiered: a message that isn't from tiercache is ignored, and so will be others",
				slog.String("channel", m.Channel))
		}
		return
	}
	for _, key := range keys {
		if sender != b.redis.ID || b.redis.hooks.Shared(key) {
			b.redis.hooks.Changed(key)
		}
	}
}

func (b *pubsub) publish(ctx context.Context, keys []string) error {
	for chunk := range slices.Chunk(keys, redisconn.MaxChunk) {
		if err := b.publishChunk(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (b *pubsub) publishChunk(ctx context.Context, keys []string) error {
	groups, err := b.redis.ByNode(ctx, []string{b.changes()})
	if err != nil {
		return err
	}
	node := groups[0].Target
	if err := node.Breaker.Err("publish"); err != nil {
		return err
	}
	began, e := mono.Now(), redisconn.CallOptions{Name: "publish"}
	if len(keys) > 1 {
		e.Moving = &node
	}
	_, err = redisconn.Run(ctx, b.redis.Conn, e, func(ctx context.Context) (struct{}, error) {
		node, err := b.node(ctx)
		if err != nil {
			return struct{}{}, err
		}
		_, err = node.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, message := range wire.Messages(b.redis.ID, keys) {
				p.Publish(ctx, b.changes(), message)
			}
			return nil
		})
		return struct{}{}, err
	})
	node.Report(ctx, began, err)
	if err != nil {
		b.redis.NoteError(groups[0].Target, "publish", err)
	}
	b.redis.Refusals.Note(node.Breaker.Addr, "publish", []redisconn.Reply{{Err: err}})
	return err
}
