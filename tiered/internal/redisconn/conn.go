package redisconn

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Conn is the connection of a process to one Redis: its servers, and the requests to them. Its parts send requests (Do and
// CallServer), have Redis's clock (Time), and combine the reads of many callers (Read and ReadAll).
type Conn struct {
	requester
	clock
	reader

	// Publish reports changed keys to the other processes; nil: Redis does.
	Publish func(ctx context.Context, keys []string) error
}

// New returns a Conn. Its exported fields have to be set before it is used: Nodes.BreakerChanged by package tiered,
// Context and Capabilities.InvalidationCommands by invalidation.New, and the servers in Nodes, and with PubSub
// Publish, by its Start. Here only the hooks between the parts are connected: an answer of a server may be the
// occasion for a check of the servers, and a server that was removed loses its batcher.
func New(client redis.UniversalClient, prefix string, timeout, heartbeat time.Duration, logger *slog.Logger) *Conn {
	c := new(Conn)
	c.Caller = &Caller{Client: client, Prefix: prefix, Timeout: timeout, Heartbeat: heartbeat, Logger: logger, ID: randomID()}
	c.Nodes.caller, c.Nodes.answered, c.Nodes.retired = c.Caller, c.Capabilities.recheckIfDue, c.removeBatcher
	c.Capabilities.caller, c.Capabilities.nodes = c.Caller, &c.Nodes
	c.Refusals.logger, c.Refusals.maxAge = logger, mono.Times(2, c.MaxAge())
	c.clock.requester, c.reader.requester = &c.requester, &c.requester
	return c
}

// PublishChanges reports changed keys to the other processes, unless Redis does.
func (c *Conn) PublishChanges(ctx context.Context, keys []string) error {
	if c.Publish == nil {
		return nil
	}
	return c.Publish(ctx, keys)
}
