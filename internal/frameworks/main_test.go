package frameworks_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp updates the Date field in a goroutine that never ends.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// A stopped server's pool ends up to ten seconds later.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// newRedis returns a tiered.Redis for the address, which is closed when the test ends.
func newRedis(t *testing.T, addr string, o tiered.RedisOptions) *tiered.Redis {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	r, err := tiered.NewRedis(client, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), client.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// newCache returns a cache that is closed when the test ends.
func newCache(t *testing.T, r *tiered.Redis, p tiered.Policy) *tiered.Cache[string] {
	t.Helper()
	c, err := tiered.New(tiered.Options[string]{Name: "users", Redis: r, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// tiers runs a test without Redis, and with Redis for each kind of Invalidation.
func tiers(t *testing.T, test func(t *testing.T, r *tiered.Redis)) {
	t.Run("in-process", func(t *testing.T) { test(t, nil) })
	for name, how := range map[string]tiered.Invalidation{"Tracking": tiered.Tracking, "PubSub": tiered.PubSub, "None": tiered.None} {
		t.Run(name, func(t *testing.T) {
			// A busy machine must not be mistaken for a slow Redis.
			test(t, newRedis(t, redistest.Start(t).Addr(), tiered.RedisOptions{Invalidation: how, Timeout: 5 * time.Second}))
		})
	}
}
