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

// Caller is the client of one Redis, with what its calls have in common: their time, their goroutines, the log.
type Caller struct {
	Client    redis.UniversalClient
	Prefix    string
	Timeout   time.Duration
	Heartbeat time.Duration
	Logger    *slog.Logger
	ID        string // of this Conn, unlike all others

	Context context.Context // ends with the Conn
	Started atomic.Bool     // NewRedis has returned, or is about to
	Calls   Lifecycle
	timers  timerPool
	panics  EventThrottle
}

// MaxAge is how long a validity holds after the canary that extended it was sent.
func (c *Caller) MaxAge() time.Duration { return mono.Sum(c.Heartbeat, c.Timeout) }

// ControlPrefix is what begins the keys and channels that belong to no cache. No key of a cache begins with it.
func (c *Caller) ControlPrefix() string { return wire.ControlPrefix(c.Prefix) }

// Unanswered reports whether the error of a call says that the server answers no reads of this client, whatever the key. That
// some slots of a Cluster aren't served doesn't say so.
func (c *Caller) Unanswered(err error) bool {
	if _, cluster := c.Client.(*redis.ClusterClient); cluster && redis.HasErrorPrefix(err, "CLUSTERDOWN Hash slot not served") {
		return false
	}
	return Unanswered(err)
}

func (c *Caller) log(level slog.Level, message string, attrs ...slog.Attr) {
	c.Logger.LogAttrs(context.Background(), level, message, attrs...)
}

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
