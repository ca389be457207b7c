package promcache_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/promcache"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newCache makes a cache "users" that the Collector has. A nil server is none.
func newCache(t testing.TB, metrics *promcache.Collector, s *redistest.Server) *tiered.Cache[string] {
	t.Helper()
	o := tiered.Options[string]{Name: "users", Trace: metrics.Trace("users"), Policy: tiered.Policy{TTL: time.Hour, NotFoundTTL: time.Hour}}
	if s != nil {
		r, err := tiered.NewRedis(s.Client(t), tiered.RedisOptions{Invalidation: tiered.None, Heartbeat: time.Hour, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		if err := metrics.AddRedis("main", r.Status); err != nil {
			t.Fatal(err)
		}
		o.Redis = r
	}
	c, err := tiered.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := metrics.Add("users", c.Stats); err != nil {
		t.Fatal(err)
	}
	return c
}

func value(v string) tiered.Loader[string] {
	return func(context.Context, *tiered.Entry[string]) (string, error) { return v, nil }
}

// gate returns a loader that closes running, and returns when open is true.
func gate(running chan<- struct{}, open func() bool) tiered.Loader[string] {
	return func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
		close(running)
		for !open() && ctx.Err() == nil {
			runtime.Gosched()
		}
		return "", ctx.Err()
	}
}
