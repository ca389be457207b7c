//go:build !windows

package outage

import (
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/tiered"
)

// process stands for a process of a service: a client, and caches that share it.
type process struct {
	number int
	proxy  *faultproxy.Proxy
	tiers  []*tiered.Redis
	caches map[*cacheConfig]*tiered.Cache[Value]
	lines  []*lineCounter // of each logger
	traced traced
}

// startProcess returns a process that uses the Redis at the address. It is closed when the test ends.
func startProcess(t testing.TB, number int, c clock, addr string) *process {
	t.Helper()
	p := &process{number: number, caches: make(map[*cacheConfig]*tiered.Cache[Value]), traced: traced{clock: c}}
	p.proxy = faultproxy.Start(t, addr)
	client := redis.NewClient(&redis.Options{
		Addr: p.proxy.Addr(), ReadTimeout: time.Second, WriteTimeout: time.Second, DialTimeout: time.Second,
		ContextTimeoutEnabled: number%2 == 0, // both ways are common
	})
	t.Cleanup(func() { _ = client.Close() })
	byStrict := make(map[bool]*tiered.Redis)
	for _, strict := range []bool{false, true} {
		tier, err := tiered.NewRedis(client, tiered.RedisOptions{
			Prefix: prefix, Timeout: timeout, Heartbeat: heartbeat, Strict: strict, Logger: p.logger("redis"),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tier.Close() })
		byStrict[strict] = tier
		p.tiers = append(p.tiers, tier)
	}
	for _, m := range cacheConfigs {
		o := m.options(byStrict[m.strict])
		o.Logger, o.Trace = p.logger(m.name), p.traced.trace()
		cache, err := tiered.New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cache.Close() })
		p.caches[m] = cache
	}
	return p
}

// status returns an error if an invalidation stream of the process is interrupted.
func (p *process) status() error {
	for _, tier := range p.tiers {
		if err := tier.Status(); err != nil {
			return err
		}
	}
	return nil
}

// logger returns a new logger whose lines are counted.
func (p *process) logger(name string) *slog.Logger {
	l := &lineCounter{name: name}
	p.lines = append(p.lines, l)
	return slog.New(l)
}
