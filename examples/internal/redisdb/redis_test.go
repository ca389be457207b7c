package redisdb_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/examples/internal/redisdb"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, url string) *redisdb.Redis {
	t.Helper()
	r, err := redisdb.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestKeysOfTheEmbeddedRedisExpire(t *testing.T) {
	r := open(t, "")
	if !strings.Contains(r.Describe, "embedded") {
		t.Errorf("Describe is %q: want it to say that the Redis is embedded", r.Describe)
	}
	if err := r.Client.Set(t.Context(), "k", "v", 20*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := r.Client.Get(t.Context(), "k").Err()
		if errors.Is(err, redis.Nil) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("a key with 20 ms to live is there after 10 s")
		}
	}
}

func TestURL(t *testing.T) {
	server := redistest.Start(t)
	r := open(t, "redis://"+server.Addr()+"/1")
	if err := r.Client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	client := server.Client(t)
	if got, err := client.Do(t.Context(), "DBSIZE").Int(); err != nil || got != 0 {
		t.Errorf("database 0 has %d keys, %v, want none: the URL names another one", got, err)
	}
}

func TestWrongURL(t *testing.T) {
	if _, err := redisdb.Open("localhost:6379"); err == nil {
		t.Error("no error for a URL without a scheme")
	}
}
