package tiered

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
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
	// Timeout bounds one Redis call, whatever the client's own timeouts are. 0: 250 ms.
	Timeout time.Duration
}

// Redis is the second tier of the caches of a process: one is made per process and shared by them all.
type Redis struct {
	client  redis.UniversalClient
	prefix  string
	timeout time.Duration
	clock   redisClock
	calls   lifetime

	mu      sync.Mutex
	tenants map[string]*tenant // by cache name
}

// tenant is what the caches of one name have in common.
type tenant struct {
	value  reflect.Type
	codec  string
	caches int
}

// NewRedis makes a second tier of the client, which may be a *redis.Client, a Sentinel failover client or a
// *redis.ClusterClient and remains the caller's to close. It makes no connection: a Redis that is down is not an error.
// Wrong options are, and a Cluster client that reads from replicas.
//
// A Cluster client learns only every ClusterStateReloadInterval, a minute by default, who took over from a dead master;
// meanwhile reads of its keys are misses and writes fail. A few seconds are a better interval for a cache.
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
	return &Redis{client: client, prefix: o.Prefix, timeout: o.Timeout, tenants: make(map[string]*tenant)}, nil
}

// Close waits for the calls that are under way: those that were given up at Timeout end with the client's own timeouts,
// or when the client is closed. Later calls fail with [ErrClosed], so that caches still in use only have their local
// tier. It doesn't close the client.
func (r *Redis) Close() error {
	r.calls.close()
	r.calls.wait()
	return nil
}

// admit lets one more cache use the name.
func (r *Redis) admit(name string, value reflect.Type, codec string) error {
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
	t.caches++
	return nil
}

func (r *Redis) dismiss(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tenants[name]; t != nil {
		if t.caches--; t.caches == 0 {
			delete(r.tenants, name)
		}
	}
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
