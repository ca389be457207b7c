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

// pubsub is the channel on which the caches of all processes publish the keys that they change, and another one for the canaries
// of this process. In a Cluster all messages go through one node, to which the channel's name hashes, and which keeps their order.
//
// A cache publishes after it has changed Redis, as a call of its own (Conn.PublishChanges), with the breaker of the
// channel's node. So a change is reported later than with tracking, and if the process dies in between, never. Nobody
// publishes evictions, flushes and what other programs write.
//
// A canary goes the way of a message: through the same node's client, and in the same stream. So its report proves
// that the messages before it have arrived. It has a channel of its own, so that other processes don't get it. It
// isn't a write, and says nothing about whether Redis accepts these.
type pubsub struct {
	group         *group
	node          func(ctx context.Context) (*redis.Client, error)
	name          string
	foreignLogged atomic.Bool // the log has it
}

var _ transport = (*pubsub)(nil)

func newPubSub(g *group) (*pubsub, error) {
	p := &pubsub{group: g}
	switch client := g.Client.(type) {
	case *redis.Client:
		p.name = client.Options().Addr
		p.node = func(context.Context) (*redis.Client, error) { return client, nil }
	case *redis.ClusterClient:
		p.name = "cluster"
		p.node = func(ctx context.Context) (*redis.Client, error) { return client.MasterForKey(ctx, p.changesChannel()) }
	default:
		return nil, fmt.Errorf("tiered: NewRedis: PubSub takes a *redis.Client or a *redis.ClusterClient, not a %T: "+
			"want one of those, or RedisOptions.Invalidation: None", client)
	}
	return p, nil
}

func (p *pubsub) changesChannel() string { return wire.ChangesChannel(p.group.Prefix) }

func (p *pubsub) canaryChannel() string { return p.group.ControlPrefix() + p.group.ID }

func (p *pubsub) serverOptions(ctx context.Context) (*redis.Options, error) {
	node, err := p.node(ctx)
	if err != nil {
		return nil, err
	}
	return node.Options(), nil
}

func (p *pubsub) handshake(context.Context, *redis.Conn, []string) error { return nil }

func (p *pubsub) follow([]string) []byte { return nil } // it isn't called: all names are on one channel

func (p *pubsub) disconnected() {}

func (p *pubsub) channels() []string { return []string{p.changesChannel(), p.canaryChannel()} }

func (p *pubsub) sendCanary(ctx context.Context, at mono.Instant) error {
	node, err := p.node(ctx)
	if err != nil {
		return err
	}
	return withTimeout(node, p.group.Timeout).Publish(ctx, p.canaryChannel(), int64(at)).Err()
}

func (p *pubsub) handle(s *stream, message any) {
	m, ok := message.(*redis.Message)
	if !ok {
		return
	}
	if m.Channel == p.canaryChannel() {
		if at, err := strconv.ParseInt(m.Payload, 10, 64); err == nil {
			s.canaryReported(mono.Instant(at))
		}
		return
	}
	sender, keys, err := wire.ParseMessage(m.Payload)
	if err != nil {
		if !p.foreignLogged.Swap(true) {
			s.log(slog.LevelWarn, "tiered: a message that isn't from tiercache is ignored, and so will be others",
				slog.String("channel", m.Channel))
		}
		return
	}
	for _, key := range keys {
		if sender != p.group.ID || p.group.hooks.Shared(key) {
			p.group.hooks.Changed(key)
		}
	}
}

func (p *pubsub) publish(ctx context.Context, keys []string) error {
	for chunk := range slices.Chunk(keys, redisconn.MaxChunk) {
		if err := p.publishChunk(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (p *pubsub) publishChunk(ctx context.Context, keys []string) error {
	return p.group.CallServer(ctx, "publish", p.changesChannel(), len(keys) > 1, func(ctx context.Context) error {
		node, err := p.node(ctx)
		if err != nil {
			return err
		}
		_, err = node.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, message := range wire.Messages(p.group.ID, keys) {
				pipe.Publish(ctx, p.changesChannel(), message)
			}
			return nil
		})
		return err
	})
}
