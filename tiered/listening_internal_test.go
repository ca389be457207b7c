package tiered

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// journal is a log that a test reads.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), what)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// quick returns options with a short heartbeat, with which a slow test machine isn't taken for a slow Redis.
func quick() RedisOptions {
	return RedisOptions{Heartbeat: 50 * time.Millisecond, Timeout: 5 * time.Second}
}

type listening struct {
	*Redis
	log *journal
}

// listen returns a Redis tier and its log.
func listen(t *testing.T, client redis.UniversalClient, o RedisOptions) listening {
	t.Helper()
	l := listening{log: new(journal)}
	o.Logger = slog.New(slog.NewTextHandler(l.log, nil))
	var err error
	if l.Redis, err = NewRedis(client, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%s: not within 20 s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
