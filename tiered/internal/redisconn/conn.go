package redisconn

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Conn is the connection of a process to one Redis: its servers, and the requests to them.
type Conn struct {
	Client    redis.UniversalClient
	Prefix    string
	Timeout   time.Duration
	Heartbeat time.Duration
	Logger    *slog.Logger
	ID        string // of this Conn, unlike all others

	Context context.Context // ends with the Conn
	Started atomic.Bool     // NewRedis has returned, or is about to
	Calls   Lifecycle
	Nodes   Nodes

	Refusals     refusals
	Capabilities capabilities

	clock    clock
	noMGet   atomic.Bool // the server doesn't have it, or not for this user or for keys of several slots
	batchers batchers
	panics   EventThrottle

	// InvalidationCommands queues the commands that the invalidations need.
	InvalidationCommands func(ctx context.Context, pipe redis.Pipeliner)
	// Publish reports changed keys to the other processes; nil: Redis does.
	Publish func(ctx context.Context, keys []string) error
	// BreakerChanged is called when a server isn't asked any more, and with a nil cause when it is again.
	BreakerChanged func(addr string, cause error)
}

// New returns a Conn. Its exported fields have to be set before it is used.
func New(client redis.UniversalClient, prefix string, timeout, heartbeat time.Duration, logger *slog.Logger) *Conn {
	c := &Conn{Client: client, Prefix: prefix, Timeout: timeout, Heartbeat: heartbeat, Logger: logger, ID: randomID()}
	c.Refusals.logger, c.Refusals.maxAge = logger, mono.Times(2, c.MaxAge())
	return c
}

// PublishChanges reports changed keys to the other processes, unless Redis does.
func (c *Conn) PublishChanges(ctx context.Context, keys []string) error {
	if c.Publish == nil {
		return nil
	}
	return c.Publish(ctx, keys)
}

// MaxAge is how long a validity holds after the canary that extended it was sent.
func (c *Conn) MaxAge() time.Duration { return mono.Sum(c.Heartbeat, c.Timeout) }

// ControlPrefix is what begins the keys and channels that belong to no cache. No key of a cache begins with it.
func (c *Conn) ControlPrefix() string { return wire.ControlPrefix(c.Prefix) }

// AddrOf returns a name for the client's server: its address, if the client has one.
func AddrOf(client redis.UniversalClient) string {
	if c, ok := client.(*redis.Client); ok {
		return c.Options().Addr
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", client), "*redis.")
}

func randomID() string {
	id := make([]byte, wire.SenderLen/2)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}
