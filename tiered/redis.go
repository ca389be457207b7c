package tiered

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/invalidation"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

const (
	defaultPrefix    = "tc:"
	defaultTimeout   = 250 * time.Millisecond
	defaultHeartbeat = time.Second
	maxRedisKey      = 512 << 20 // bytes, a limit of Redis
)

// Invalidation is how a process hears of changes that others make in Redis.
type Invalidation uint8

const (
	// Tracking makes Redis itself report every change of a key of the caches that the process has open, by any client.
	Tracking Invalidation = iota
	// PubSub makes the caches publish their changes. It doesn't report foreign writers, evictions or a FLUSHALL. In a Cluster
	// the messages of writers that see different topologies, as in a failover, may overtake each other on their way between
	// the nodes, and so may be late by more than Heartbeat + Timeout.
	PubSub
	// None reports nothing: another process's change shows after LocalTTL. A change of a tag, or a Clear, shows after
	// Heartbeat + Timeout, for which the local tier asks Redis at that interval. A read that waits for another process's load
	// polls.
	None
	// TrackingKeys makes Redis itself report the changes of those keys that the process has, to this process. Redis then has nothing to do
	// for a write of a key that no process has, however many there are, and sends nothing to those that don't have the key. In return it
	// keeps a table of the keys that it was asked about (its tracking-table-max-keys, a million by default), and each value that enters
	// the local tier takes one more small command, which no caller waits for. Values that other programs wrote don't enter it.
	// It is for many processes; docs/growth.md says how many.
	TrackingKeys
)

// RedisOptions configures a [Redis].
type RedisOptions struct {
	// Prefix begins every key: letters, digits, '.', '_', '-' or '/', and then one ':'. "": "tc:".
	Prefix string
	// Invalidation is how the local tiers hear of changes that others make in Redis. 0: Tracking.
	Invalidation Invalidation
	// Timeout bounds one Redis call, whatever the client's own timeouts are. At least a millisecond. 0: 250 ms.
	//
	// A batch takes as many calls as it needs: chunks of up to 1,000 keys and a megabyte, each with a Timeout of its own. A chunk
	// of several keys, and a write of a value of 64 kB or more, may take up to eight Timeouts as long as Redis answers a small
	// call meanwhile. If it doesn't, the chunk fails, and after two such chunks the rest of the batch isn't tried. A single value
	// that can't be read within Timeout is a miss each time, and one that can't be written within it is removed. Neither makes
	// the cache take Redis for down.
	Timeout time.Duration
	// Heartbeat is how often the cache verifies that invalidations arrive. A local hit is at most Heartbeat + Timeout behind
	// Redis. At least a millisecond. 0: 1 second.
	Heartbeat time.Duration
	// Strict never serves an entry from the local tier that can't be proved to be current, even if Redis doesn't answer.
	Strict bool
	// Logger gets a record when Redis doesn't answer and isn't asked any more, when invalidations stop, when Redis refuses
	// commands with an error reply, and when each of these is over. For each server and each of the three (for refusals, each
	// kind of error) there is at most one record in ten seconds, with the number of those left out as "suppressed". nil:
	// slog.Default().
	Logger *slog.Logger
}

// Redis is the second tier of the caches of a process. A process makes one, and all its caches share it.
type Redis struct {
	conn    *redisconn.Conn
	options RedisOptions
	streams *invalidation.Streams
	caches  *invalidation.Registry
}

// NewRedis makes a second tier of the client, which may be a *redis.Client, a Sentinel failover client or a
// *redis.ClusterClient. The caller must close the client.
//
// NewRedis opens one connection for invalidations to each master, and asks each master in one round trip whether it supports
// everything that the caches need. It waits for that at most half a second, or twice the Timeout if that is longer. A Redis
// that is down or slow is not an error: the streams of invalidations begin when it is back, it is asked then, and until then
// [Redis.Status] says what is wrong. NewRedis returns an error for invalid options, for a client that reads from other servers
// than the masters, and for servers that lack a command, or users that lack a right, of these:
//
//	~tc:* +get +set +del +eval +time +pttl +pexpire +getrange +setrange +incrby    the caches
//	~tc!* &tc!* +client|tracking +subscribe +ping    Tracking, TrackingKeys
//	&tc!* +publish +subscribe +ping                  PubSub
//	+cluster|slots                                   in a Cluster
//
// where tc stands for the Prefix without its colon. The error names everything that is missing; if the nodes of a Cluster can't
// be found, only that. Rights and commands that go missing later show in Status and the log. With +mget the values of many keys
// are read with one command. [Cache.Keys] and [Cache.Tags] need +scan, and [Cache.Hold] +zadd +zrem +zremrangebyscore +zcard +zcount,
// which the processes that read what is held should have, too.
//
// # The client's options
//
// A client reads from other servers than the masters with ClientSideCacheConfig or ClientSideCache, with ReadOnly,
// RouteByLatency or RouteRandomly, and as a *redis.Ring. NewRedis refuses these, and also a *redis.AutoPipeliner, whose
// client's options can't be seen. It can't see FailoverOptions.ReplicaOnly either, but it asks the server: a replica that is
// still one when NewRedis has waited is an error, except in a Cluster. A server that becomes a replica later shows in Status
// and the log. Its values are read from it, and after Heartbeat + Timeout (with PubSub ten heartbeats more) no local ones are
// served without asking. NewRedis can't detect a hook (AddHook) or a proxy that answers reads from elsewhere. With None it
// accepts any other implementation of UniversalClient; the other modes accept the three above.
//
// The connections for invalidations are made with the client's options: its Dialer, TLSConfig, credentials, DB and OnConnect.
// They have timeouts of their own and no Limiter, and always use RESP3; hooks aren't called for them. A call that the Limiter
// doesn't allow counts as one that Redis didn't answer. So does a call in which a hook or another function of the client
// panics, and the log says where. In go-redis's own goroutines such a panic ends the process: that of a Cluster node's hook
// (OnNewNode), while the client looks at the Cluster by itself or the Invalidation isn't Tracking.
//
// A Redis that doesn't answer isn't asked. Every call fails at once after three calls in a row and a small one meanwhile, or a
// call that verifies the invalidations, have failed or taken longer than the Timeout. As soon as Redis answers, it is asked
// again. In a Cluster this applies to the keys of each master separately.
//
// A Cluster client learns only every ClusterStateReloadInterval, a minute by default, which node replaced a dead master. With
// Tracking it is made to look when a stream of invalidations breaks. Otherwise reads of such a master's keys are misses
// meanwhile, and writes fail: an interval of a few seconds is better for a cache.
func NewRedis(client redis.UniversalClient, o RedisOptions) (*Redis, error) {
	if err := redisconn.CheckClient(client); err != nil {
		return nil, err
	}
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	if prefix, ok := strings.CutSuffix(o.Prefix, ":"); !ok || prefix == "" || len(prefix) > maxNameLen || !plain(prefix) {
		return nil, fmt.Errorf("tiered: RedisOptions.Prefix is %q: want 1 to %d of letters, digits, '.', '_', '-' and '/', then one ':'", o.Prefix, maxNameLen)
	}
	if err := checkDuration("RedisOptions.Timeout", o.Timeout, defaultTimeout.String()); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Invalidation > TrackingKeys {
		return nil, fmt.Errorf("tiered: RedisOptions.Invalidation is %d: want Tracking, PubSub, None or TrackingKeys", o.Invalidation)
	}
	if err := checkDuration("RedisOptions.Heartbeat", o.Heartbeat, defaultHeartbeat.String()); err != nil {
		return nil, err
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = defaultHeartbeat
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Prefix = strings.Clone(o.Prefix)
	r := &Redis{
		conn:    redisconn.New(client, o.Prefix, o.Timeout, o.Heartbeat, o.Logger),
		options: o,
		caches:  invalidation.NewRegistry(o.Prefix),
	}
	r.conn.Nodes.BreakerChanged = r.caches.BreakerChanged
	r.streams = invalidation.New(r.conn, invalidation.Mode(o.Invalidation), r.caches.Hooks())
	if err := r.streams.Start(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// Close ends the streams of invalidations and waits for the calls that are under way, but no longer than Timeout, whatever
// the client's own timeouts are. Later calls fail with [ErrClosed], so that caches still in use only have their local tier.
// Close doesn't close the client. It may be called before or after the client and the caches are closed.
//
// A call that a frozen Redis doesn't answer stays in the client, with the goroutine that made it, until the client's
// ReadTimeout is over; with a ReadTimeout of -1 or -2, until the client is closed or the connection ends. So may a dialer of
// the client that ignores its context.
func (r *Redis) Close() error {
	if !r.isMade() {
		return nil
	}
	r.streams.Close()
	return nil
}

// isMade reports whether NewRedis has returned r without an error.
func (r *Redis) isMade() bool { return r != nil && r.conn != nil }

// Ping asks Redis, and every master of a Cluster, whether it answers within Timeout, even if caches don't ask it at present
// because it hasn't answered lately. It returns the first error.
func (r *Redis) Ping(ctx context.Context) error {
	if !r.isMade() {
		return errNotMade
	}
	_, err := redisconn.Call(ctx, r.conn.Caller, "ping", nil, func(ctx context.Context) (struct{}, error) {
		cluster, ok := r.conn.Client.(*redis.ClusterClient)
		if !ok {
			return struct{}{}, r.conn.Client.Ping(ctx).Err()
		}
		return struct{}{}, cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			if err := r.conn.CatchPanics(func() error { return node.Ping(ctx).Err() }); err != nil { // go-redis calls this in a goroutine of its own
				return fmt.Errorf("%s: %w", node.Options().Addr, err)
			}
			return nil
		})
	})
	return err
}

// Status returns nil while Redis is asked, all invalidations arrive, and no command of a cache was refused lately. Otherwise it
// returns an error that says for how long that hasn't been so, and why. A command counts as refused (for lack of a right or of
// memory, say) until Redis accepts another of its kind, but no longer than 2 × (Heartbeat + Timeout) after the last refusal.
// Status sends nothing to Redis and is cheap.
func (r *Redis) Status() error {
	if !r.isMade() {
		return errNotMade
	}
	if r.conn.Calls.Closed() {
		return ErrClosed
	}
	return r.streams.Status()
}
