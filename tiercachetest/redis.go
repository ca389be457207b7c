//go:build !windows

package tiercachetest

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Redis is a redis-server for one test, and a proxy in front of it that causes faults. Its methods may be called from any goroutine of
// the test, and fail it if they can't do what they should.
type Redis struct {
	server *redistest.Server
	proxy  *faultproxy.Proxy
}

// StartRedis starts a redis-server on a free port of the loopback interface, with further arguments if there are any. It ends with the
// test. TIERCACHE_REDIS_SERVER in the environment names another program, such as a valkey-server. The test fails if the program isn't
// installed; with TIERCACHE_SKIP_REDIS=1 it is skipped instead.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	r := &Redis{server: redistest.Start(t, args...)}
	r.proxy = faultproxy.Start(t, r.server.Addr())
	return r
}

// Addr returns the address of the proxy, host and port, for a client's options.
func (r *Redis) Addr() string { return r.proxy.Addr() }

// Client returns a client that is closed when the test ends.
func (r *Redis) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: r.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() }) // its connections may be broken
	return c
}

// Tier returns a tiered.Redis over a client of its own, as another process has it. It is closed when the test ends. If o.Timeout or
// o.Heartbeat is 0, they are 100 and 200 milliseconds, so that a test sees the effects of a fault soon.
func (r *Redis) Tier(t testing.TB, o tiered.RedisOptions) *tiered.Redis {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 100 * time.Millisecond
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 200 * time.Millisecond
	}
	tier, err := tiered.NewRedis(r.Client(t), o)
	if err != nil {
		t.Fatalf("tiercachetest: %v", err)
	}
	t.Cleanup(func() {
		if err := tier.Close(); err != nil {
			t.Errorf("tiercachetest: closing the Redis tier: %v", err)
		}
	})
	return tier
}

// Kill kills the server, which loses all its data.
func (r *Redis) Kill() { r.server.Kill() }

// Restart starts the server again after a Kill.
func (r *Redis) Restart() { r.server.Restart() }

// Freeze stops the server, as a paused virtual machine: connections stay open, and nothing answers.
func (r *Redis) Freeze() { r.server.Freeze() }

// Thaw continues the server after a Freeze.
func (r *Redis) Thaw() { r.server.Thaw() }

// Cut closes all connections of clients. New ones are accepted.
func (r *Redis) Cut() { r.proxy.Cut() }

// Refuse closes all connections of clients and, until it is called with false, accepts none.
func (r *Redis) Refuse(on bool) {
	r.proxy.Refuse(on)
	if on {
		r.proxy.Cut()
	}
}

// Delay delays all that is sent, in each direction. 0: not any more.
func (r *Redis) Delay(d time.Duration) { r.proxy.Delay(d) }
