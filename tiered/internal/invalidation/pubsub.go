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

// bulletin is the channel on which the caches of all processes publish what they change, and another one for this Redis
// object's canaries. In a Cluster all of it goes through one node, the one that the channel's name hashes to, which keeps
// the order of what it is given.
type bulletin struct {
	redis   *Streams
	node    func(ctx context.Context) (*redis.Client, error)
	name    string
	garbled atomic.Bool // and said so
}

func newBulletin(r *Streams) (*bulletin, error) {
	b := &bulletin{redis: r}
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

func (b *bulletin) changes() string { return b.redis.ControlPrefix() + "changes" }

func (b *bulletin) canaries() string { return b.redis.ControlPrefix() + b.redis.ID }

func (b *bulletin) server(ctx context.Context) (*redis.Options, error) {
	node, err := b.node(ctx)
	if err != nil {
		return nil, err
	}
	return node.Options(), nil
}

func (b *bulletin) greet(context.Context, *redis.Conn) error { return nil }

func (b *bulletin) channels() []string { return []string{b.changes(), b.canaries()} }

func (b *bulletin) sing(ctx context.Context, at mono.Instant) error {
	node, err := b.node(ctx)
	if err != nil {
		return err
	}
	return briefly(node, b.redis.Timeout).Publish(ctx, b.canaries(), int64(at)).Err()
}

func (b *bulletin) hear(s *stream, message any) {
	m, ok := message.(*redis.Message)
	if !ok {
		return
	}
	if m.Channel == b.canaries() {
		if at, err := strconv.ParseInt(m.Payload, 10, 64); err == nil {
			s.reported(mono.Instant(at))
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

func (b *bulletin) publish(ctx context.Context, keys []string) error {
	for chunk := range slices.Chunk(keys, redisconn.MaxChunk) {
		if err := b.publishChunk(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (b *bulletin) publishChunk(ctx context.Context, keys []string) error {
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
