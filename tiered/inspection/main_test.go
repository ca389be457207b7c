package inspection_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) {
	redistest.Parallel(4)
	goleak.VerifyTestMain(m)
}

func newRedis(t testing.TB, client redis.UniversalClient, o tiered.RedisOptions) *tiered.Redis {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second // so that a slow machine isn't taken for a slow Redis
	}
	r, err := tiered.NewRedis(client, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func newCache(t testing.TB, o tiered.Options[string]) *tiered.Cache[string] {
	t.Helper()
	o.Name, o.MaxCost = "test", 10_000
	c, err := tiered.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func set(t *testing.T, c *tiered.Cache[string], key, value string) {
	t.Helper()
	ok(t, c.Set(t.Context(), key, value))
}

func waitFor(t testing.TB, happened func() bool) {
	t.Helper()
	observe.Until(t, "what the test waits for", happened)
}
