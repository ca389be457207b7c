package tiered

import (
	"bytes"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// ear is a listener that remembers what it was told.
type ear struct {
	mu    sync.Mutex
	keys  []string
	flush int
}

func (e *ear) heard(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys = append(e.keys, key)
}

func (e *ear) interrupted() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flush++
}

func (e *ear) switched(string, error) {}
func (e *ear) answered()              {}

func (e *ear) has(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.keys, key)
}

func (e *ear) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys = nil
}

func (e *ear) interruptions() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.flush
}

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

// quick are options with a short heartbeat, under which a slow machine isn't taken for a slow Redis.
func quick() RedisOptions {
	return RedisOptions{Heartbeat: 50 * time.Millisecond, Timeout: 5 * time.Second}
}

// alert are options under which a proof soon lapses.
func alert() RedisOptions {
	return RedisOptions{Heartbeat: 250 * time.Millisecond, Timeout: 750 * time.Millisecond}
}

type listening struct {
	*Redis
	ear *ear
	log *journal
}

// listen makes a second tier with a listener for the cache "c".
func listen(t *testing.T, client redis.UniversalClient, o RedisOptions) listening {
	t.Helper()
	l := listening{ear: new(ear), log: new(journal)}
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
	if err := l.admit("c", reflect.TypeFor[int](), "json", l.ear); err != nil {
		t.Fatal(err)
	}
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

func (l listening) proven(t testing.TB) *coherence.Validity {
	t.Helper()
	var p *coherence.Validity
	eventually(t, "the proof holds", func() bool {
		p = l.streams.only.Validity()
		return p.Holds(mono.Now()) && l.Status() == nil
	})
	return p
}

// logged waits for what is logged after Status knows.
func (l listening) logged(t *testing.T, warnings, failures, infos int) {
	t.Helper()
	eventually(t, "the log of the recovery", func() bool { return l.log.count("level=INFO") >= infos })
	w, f, i := l.log.count("level=WARN"), l.log.count("level=ERROR"), l.log.count("level=INFO")
	if w != warnings || f != failures || i != infos {
		t.Errorf("%d warnings, %d errors, %d infos:\n%s", w, f, i, l.log)
	}
}
