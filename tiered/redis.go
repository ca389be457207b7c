package tiered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	defaultPrefix  = "tc:"
	defaultTimeout = 250 * time.Millisecond
	maxRedisKey    = 512 << 20 // bytes, a limit of Redis
)

// RedisOptions configures a [Redis].
type RedisOptions struct {
	// Prefix begins every key: letters, digits, '.', '_', '-' or '/', and then one ':'. "": "tc:".
	Prefix string
	// Invalidation is how the local tiers hear of what others change in Redis. 0: Tracking.
	Invalidation Invalidation
	// Timeout bounds one Redis call, whatever the client's own timeouts are. 0: 250 ms.
	Timeout time.Duration
	// Heartbeat is how often it is proved that invalidations arrive. A local hit is at most Heartbeat + Timeout behind
	// Redis. 0: 1 second.
	Heartbeat time.Duration
	// Strict never serves from the local tier what can't be proved to be current, even if Redis doesn't answer.
	Strict bool
	// Logger is told when Redis doesn't answer and isn't asked any more, when invalidations stop, and when all is well again:
	// of each server and each of the two no more often than once in ten seconds, with the number of times that were left
	// out as "suppressed". nil: slog.Default().
	Logger *slog.Logger
}

// Redis is the second tier of the caches of a process: one is made per process and shared by them all.
type Redis struct {
	client    redis.UniversalClient
	prefix    string
	timeout   time.Duration
	options   RedisOptions
	clock     redisClock
	calls     lifetime
	noMGet    atomic.Bool // the server doesn't do it, or not for this user or keys of several slots
	streams   streams
	pipelines pipelines

	mu      sync.Mutex
	tenants map[string]*tenant // by cache name
}

// tenant is what the caches of one name have in common.
type tenant struct {
	value  reflect.Type
	codec  string
	caches []listener
}

// listener is a cache as the streams see it.
type listener interface {
	// heard tells that a key of the cache's name was changed: what follows the name in Redis's key.
	heard(key string)
	// interrupted tells that changes may have gone unheard.
	interrupted()
	// switched tells that a server isn't asked any more, or with a nil cause that it is again.
	switched(addr string, cause error)
	// answered tells that Redis answers.
	answered()
}

// NewRedis makes a second tier of the client, which may be a *redis.Client, a Sentinel failover client or a
// *redis.ClusterClient and remains the caller's to close.
//
// It connects to hear of invalidations, over one connection to each master, and waits for that at most half a second, or
// twice the Timeout if that is longer. A Redis that is down or slow is not an error: the streams of invalidations begin
// when it is back, and until then [Redis.Status] says what is wrong. Errors are wrong options, a Cluster client that
// reads from replicas, a server that can't do what the Invalidation takes, and a user without the rights:
//
//	~tc:* +get +set +del +eval +time +pttl +pexpire +getrange +setrange +incrby    the caches
//	~tc!* &tc!* +client|tracking +subscribe +ping    Tracking
//	&tc!* +publish +subscribe +ping                  PubSub
//	+cluster|slots                                   in a Cluster
//
// where tc stands for the Prefix without its colon. With +mget the values of many keys are read with one command.
//
// A Redis that doesn't answer isn't asked: after three calls in a row, or one that proves the invalidations, have failed or
// taken longer than the Timeout, every call fails at once. As soon as Redis answers it is asked again. In a Cluster that
// concerns the keys of one master.
//
// A Cluster client learns only every ClusterStateReloadInterval, a minute by default, who took over from a dead master.
// With Tracking it is made to look when an invalidation stream breaks. Otherwise reads of such a master's keys are misses
// meanwhile and writes fail: a few seconds are a better interval for a cache.
func NewRedis(client redis.UniversalClient, o RedisOptions) (*Redis, error) {
	if v := reflect.ValueOf(client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("tiered: NewRedis: the client is nil")
	}
	if c, ok := client.(*redis.ClusterClient); ok && c.Options().ReadOnly {
		return nil, errors.New("tiered: NewRedis: the client reads from replicas (ReadOnly, RouteByLatency or RouteRandomly), " +
			"which may still have what was deleted: want one that reads from masters")
	}
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	if prefix, ok := strings.CutSuffix(o.Prefix, ":"); !ok || prefix == "" || len(prefix) > maxNameLen || !plain(prefix) {
		return nil, fmt.Errorf("tiered: RedisOptions.Prefix is %q: want 1 to %d of letters, digits, '.', '_', '-' and '/', then one ':'", o.Prefix, maxNameLen)
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("tiered: RedisOptions.Timeout is %v: want 0 (%v) or more", o.Timeout, defaultTimeout)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Invalidation > None {
		return nil, fmt.Errorf("tiered: RedisOptions.Invalidation is %d: want Tracking, PubSub or None", o.Invalidation)
	}
	if o.Heartbeat < 0 {
		return nil, fmt.Errorf("tiered: RedisOptions.Heartbeat is %v: want 0 (%v) or more", o.Heartbeat, defaultHeartbeat)
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = defaultHeartbeat
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Prefix = strings.Clone(o.Prefix)
	r := &Redis{client: client, prefix: o.Prefix, timeout: o.Timeout, options: o, tenants: make(map[string]*tenant)}
	if err := r.startStreams(); err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends the streams of invalidations and waits for the calls that are under way: those that were given up at
// Timeout end with the client's own timeouts, or when the client is closed. Later calls fail with [ErrClosed], so that caches still in use only have their local
// tier. It doesn't close the client.
func (r *Redis) Close() error {
	r.closeStreams()
	r.calls.close()
	r.closePipelines()
	r.calls.wait()
	return nil
}

// Ping asks Redis, and every master of a Cluster, whether it answers within Timeout, also where a call of a cache wouldn't
// be made because it hasn't answered lately. It returns the first error.
func (r *Redis) Ping(ctx context.Context) error {
	_, err := call(ctx, r, "ping", nil, func(ctx context.Context) (struct{}, error) {
		cluster, ok := r.client.(*redis.ClusterClient)
		if !ok {
			return struct{}{}, r.client.Ping(ctx).Err()
		}
		return struct{}{}, cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			if err := node.Ping(ctx).Err(); err != nil {
				return fmt.Errorf("%s: %w", node.Options().Addr, err)
			}
			return nil
		})
	})
	return err
}

// admit lets one more cache use the name.
func (r *Redis) admit(name string, value reflect.Type, codec string, l listener) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tenants[name]
	if t == nil {
		t = &tenant{value: value, codec: codec}
		r.tenants[name] = t
	}
	if t.value != value || t.codec != codec {
		return fmt.Errorf("tiered: Options.Name is %q, which on this Redis is a cache of %v in %s: want that, or another name for %v in %s",
			name, t.value, t.codec, value, codec)
	}
	t.caches = append(slices.Clone(t.caches), l) // hear reads it without the lock
	return nil
}

func (r *Redis) dismiss(name string, l listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tenants[name]
	t.caches = slices.DeleteFunc(slices.Clone(t.caches), func(other listener) bool { return other == l })
	if len(t.caches) == 0 {
		delete(r.tenants, name)
	}
}

// heard tells the caches that a key of Redis was changed.
func (r *Redis) heard(key string) {
	name, rest := r.nameIn(key)
	for _, l := range r.listeners(name) {
		l.heard(rest)
	}
}

// shared reports whether caches of this process share the key: then one has to hear what the other does.
func (r *Redis) shared(key string) bool {
	name, _ := r.nameIn(key)
	return len(r.listeners(name)) > 1
}

// nameIn returns the cache's name in a key of Redis and what follows it, or nothing.
func (r *Redis) nameIn(key string) (name, rest string) {
	rest, ok := strings.CutPrefix(key, r.prefix)
	end := strings.IndexAny(rest, ":!")
	if !ok || end < 0 {
		return "", ""
	}
	return rest[:end], rest[end:]
}

func (r *Redis) listeners(name string) []listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tenants[name]; t != nil {
		return t.caches
	}
	return nil
}

// interrupted tells all caches that changes may have gone unheard.
func (r *Redis) interrupted() {
	for _, l := range r.everyone() {
		l.interrupted()
	}
}

// answered tells all caches that Redis answers.
func (r *Redis) answered() {
	for _, l := range r.everyone() {
		l.answered()
	}
}

func (r *Redis) everyone() (all []listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tenants {
		all = append(all, t.caches...)
	}
	return all
}

// call runs one call in a goroutine, so as to return when the time is over or ctx ends: go-redis itself heeds neither
// unless its ContextTimeoutEnabled is set. ended, if not nil, is called when the call has ended, which may be later.
func call[R any](ctx context.Context, r *Redis, name string, ended func(), f func(context.Context) (R, error)) (R, error) {
	type reply struct {
		result R
		err    error
	}
	var none R
	if ended == nil {
		ended = func() {}
	}
	if !r.calls.begin() {
		ended()
		return none, ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	replies := make(chan reply, 1)
	go func() {
		defer r.calls.end()
		defer cancel()
		result, err := f(ctx)
		ended() // before the caller hears of it, who may go on at once
		replies <- reply{result, err}
	}()
	var got reply
	select {
	case got = <-replies:
	case <-ctx.Done():
		select {
		case got = <-replies:
		default:
			got.err = ctx.Err()
		}
	}
	if got.err != nil && !errors.Is(got.err, redis.Nil) {
		return none, fmt.Errorf("tiered: redis: %s: %w", name, got.err)
	}
	return got.result, got.err
}
