package invalidation

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// recorder remembers what the streams report: the keys of the cache "c" without its name, and those of others.
type recorder struct {
	mu      sync.Mutex
	keys    []string
	flushes int

	more    []string   // names of caches that were opened beside "c"
	follows [][]string // those of each Reported

	others atomic.Bool // there is another cache of the name
}

func (rec *recorder) open() []string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return append([]string{"c"}, rec.more...)
}

func (rec *recorder) reported(names []string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.follows = append(rec.follows, names)
}

func (rec *recorder) changed(key string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.keys = append(rec.keys, key)
}

func (rec *recorder) interrupted() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.flushes++
}

func (rec *recorder) has(key string) bool {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.Contains(rec.keys, key)
}

func (rec *recorder) reset() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.keys = nil
}

func (rec *recorder) interruptions() int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.flushes
}

// settings are those of a Redis as NewRedis takes them.
type settings struct {
	Invalidation       Mode
	Heartbeat, Timeout time.Duration
	Logger             *slog.Logger
}

// quick are settings with a short heartbeat, under which a slow machine isn't taken for a slow Redis.
func quick() settings { return settings{Heartbeat: 50 * time.Millisecond, Timeout: 5 * time.Second} }

// shortLived are settings under which a validity soon runs out.
func shortLived() settings {
	return settings{Heartbeat: 250 * time.Millisecond, Timeout: 750 * time.Millisecond}
}

// fixture are the streams of a Redis with what they report and log.
type fixture struct {
	*Streams
	changes *recorder
	log     *observe.Log
}

// open does what NewRedis does, for a cache "c".
func open(client redis.UniversalClient, o settings, rec *recorder) (*Streams, error) {
	if o.Heartbeat == 0 {
		o.Heartbeat = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	conn := redisconn.New(client, "tc:", o.Timeout, o.Heartbeat, o.Logger)
	conn.Nodes.BreakerChanged = func(string, error) {}
	s := New(conn, o.Invalidation, Hooks{
		Names:    rec.open,
		Reported: rec.reported,
		Changed: func(key string) {
			if name, rest := wire.CutName("tc:", key); name == "c" {
				rec.changed(rest)
			} else {
				rec.changed(name + rest)
			}
		},
		Shared:      func(string) bool { return rec.others.Load() },
		Interrupted: rec.interrupted,
		Answered:    func() {},
	})
	if err := s.Start(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (f fixture) Close() error {
	f.Streams.Close()
	return nil
}

// openFixture opens streams, which must succeed.
func openFixture(t *testing.T, client redis.UniversalClient, o settings) fixture {
	t.Helper()
	f := fixture{changes: new(recorder), log: new(observe.Log)}
	o.Logger = slog.New(slog.NewTextHandler(f.log, nil))
	var err error
	if f.Streams, err = open(client, o, f.changes); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Streams.Close)
	return f
}

func (f fixture) waitValid(t testing.TB) *coherence.Validity {
	t.Helper()
	var v *coherence.Validity
	observe.Until(t, "the validity holds", func() bool {
		v = f.only.Validity()
		return v.Holds(mono.Now()) && f.Status() == nil
	})
	return v
}

// checkLog waits for what is logged after Status knows.
func (f fixture) checkLog(t *testing.T, warnings, failures, infos int) {
	t.Helper()
	observe.Until(t, "the log of the recovery", func() bool { return f.log.Count("level=INFO") >= infos })
	w, e, i := f.log.Count("level=WARN"), f.log.Count("level=ERROR"), f.log.Count("level=INFO")
	if w != warnings || e != failures || i != infos {
		t.Errorf("%d warnings, %d errors, %d infos:\n%s", w, e, i, f.log)
	}
}
