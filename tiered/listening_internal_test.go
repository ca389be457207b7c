package tiered

import (
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
)

// quick returns options with a short heartbeat, with which a slow test machine isn't taken for a slow Redis.
func quick() RedisOptions {
	return RedisOptions{Heartbeat: 50 * time.Millisecond, Timeout: 5 * time.Second}
}

type listening struct {
	*Redis
	log *observe.Log
}

// listen returns a Redis tier and its log.
func listen(t *testing.T, client redis.UniversalClient, o RedisOptions) listening {
	t.Helper()
	l := listening{log: new(observe.Log)}
	o.Logger = slog.New(slog.NewTextHandler(l.log, nil))
	var err error
	if l.Redis, err = NewRedis(client, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		l = listening{} // testing keeps this function until the last parallel test ends
	})
	return l
}
