// Package conntest opens connections for the tests of the packages that send requests to Redis.
package conntest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/invalidation"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// Open returns a connection with the key prefix "tc:", to which Redis reports no changes. It is closed when the test ends.
func Open(t testing.TB, client redis.UniversalClient) *redisconn.Conn {
	t.Helper()
	conn := redisconn.New(client, "tc:", 10*time.Second, time.Minute, slog.New(slog.DiscardHandler))
	conn.Nodes.BreakerChanged = func(string, error) {}
	streams := invalidation.New(conn, invalidation.None, invalidation.Hooks{
		Changed:     func(string) {},
		Shared:      func(string) bool { return false },
		Interrupted: func() {},
		Answered:    func() {},
	})
	t.Cleanup(streams.Close)
	if err := streams.Start(); err != nil {
		t.Fatal(err)
	}
	return conn
}
