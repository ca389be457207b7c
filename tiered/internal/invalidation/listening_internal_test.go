package invalidation

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// ear remembers what the streams report of the cache "c".
type ear struct {
	mu    sync.Mutex
	keys  []string
	flush int

	others atomic.Bool // there is another cache of the name
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

// settings are those of a Redis as NewRedis takes them.
type settings struct {
	Invalidation       Mode
	Heartbeat, Timeout time.Duration
	Logger             *slog.Logger
}

// quick are settings with a short heartbeat, under which a slow machine isn't taken for a slow Redis.
func quick() settings { return settings{Heartbeat: 50 * time.Millisecond, Timeout: 5 * time.Second} }

// alert are settings under which a validity soon runs out.
func alert() settings {
	return settings{Heartbeat: 250 * time.Millisecond, Timeout: 750 * time.Millisecond}
}

// listening are the streams of a Redis with what they report and log.
type listening struct {
	*Streams
	ear *ear
	log *journal
}

// open does what NewRedis does, for a cache "c".
func open(client redis.UniversalClient, o settings, e *ear) (*Streams, error) {
	if o.Heartbeat == 0 {
		o.Heartbeat = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	conn := redisconn.New(client, "tc:", o.Timeout, o.Heartbeat, o.Logger)
	conn.Switched = func(string, error) {}
	s := New(conn, o.Invalidation, Hooks{
		Changed: func(key string) {
			if name, rest := wire.CutName("tc:", key); name == "c" {
				e.heard(rest)
			}
		},
		Shared:      func(string) bool { return e.others.Load() },
		Interrupted: e.interrupted,
		Answered:    func() {},
	})
	if err := s.Start(); err != nil {
		closeAll(s)
		return nil, err
	}
	return s, nil
}

// closeAll does what Redis.Close does.
func closeAll(s *Streams) {
	patience, stop := context.WithTimeout(context.Background(), s.Timeout)
	defer stop()
	s.Close(patience)
	s.Calls.Close()
	s.CloseBatchers()
	redisconn.WaitUntil(patience, s.Calls.Wait)
}

func (l listening) Close() error {
	closeAll(l.Streams)
	return nil
}

// listen opens streams, which must succeed.
func listen(t *testing.T, client redis.UniversalClient, o settings) listening {
	t.Helper()
	l := listening{ear: new(ear), log: new(journal)}
	o.Logger = slog.New(slog.NewTextHandler(l.log, nil))
	var err error
	if l.Streams, err = open(client, o, l.ear); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(l.Streams) })
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
		p = l.only.Validity()
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
