package tiers_test

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/conntest"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/tags"
	"github.com/tiercache/tiercache/tiered/internal/tiers"
	"github.com/tiercache/tiercache/tiered/internal/values"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

type (
	cache = tiers.Tiers[string, int]
	task  = tiers.Task[string, int]
	ref   = inflight.Ref[string, int]
)

var (
	seed      = maphash.MakeSeed()
	policy    = record.Policy{TTL: time.Hour, Windows: wire.Windows{IfError: time.Hour}}
	errQueued = errors.New("queued")
)

func hash(key string) uint64 { return maphash.String(seed, key) }

// open returns the tiers of the cache "test" on the server, or of one in-process only if that is nil.
func open(t *testing.T, s *redistest.Server) *cache {
	t.Helper()
	retention := new(record.Retention)
	retention.Add(&policy.Windows)
	l, err := local.New[string](local.Options{MaxCost: 1000, Retention: retention, Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	base, cancel := context.WithCancel(t.Context())
	p := tiers.Parts[string, int]{
		Local: l, Keys: inflight.New[string, int](l), Tags: tags.New(nil, false), Retention: retention, Hash: hash,
		Values: &values.Funcs[string]{Codec: fussy{codec.JSON}, Name: "json", Exited: func(error) {}},
		Base:   base, Life: new(redisconn.Lifecycle), ErrQueued: errQueued,
		Report: func(message, key string, err error) { t.Errorf("%s: %s: %v", message, key, err) },
	}
	if s != nil {
		conn := conntest.Open(t, s.Client(t))
		countErrors := func([]redisconn.Reply) {}
		p.Remote = remote.New(remote.Options[string]{Conn: conn, Name: "test", Values: p.Values, CountErrors: countErrors, Report: p.Report})
		p.Tags = tags.New(tags.NewStore(conn, "test", countErrors), false)
	}
	c := tiers.New(p)
	t.Cleanup(func() {
		p.Life.Close()
		cancel()
		p.Life.Wait()
		if lost := c.Close(); lost != 0 {
			t.Errorf("%d changes are lost", lost)
		}
		l.Close()
	})
	return c
}

// fussy is a codec that can't encode the value "bad".
type fussy struct{ codec.Codec }

func (f fussy) Marshal(v any) ([]byte, error) {
	if s, ok := v.(*string); ok && *s == "bad" {
		return nil, errors.New("bad")
	}
	return f.Codec.Marshal(v)
}

// set sets keys to values of their names and the suffix.
func set(t *testing.T, c *cache, suffix string, keys ...string) tiers.Written {
	t.Helper()
	return c.SetMany(t.Context(), keys, func(key string) string { return key + suffix }, []string{"tag"}, &policy)
}

// has returns the value in memory, or "".
func has(c *cache, key string) string {
	if it := c.Local.Get(key, hash(key), mono.Now(), &policy.Windows); it != nil {
		return it.Value
	}
	return ""
}

// fetch reads a key from Redis, and returns its value, or "" if it allows less than the given use.
func fetch(t *testing.T, c *cache, key string, least record.Use) string {
	t.Helper()
	h := c.Keys.Ref(key, hash(key))
	defer c.Keys.Release(h)
	got := c.Fetch(t.Context(), []ref{h}, least, &policy)[0]
	if got.Err != nil {
		t.Errorf("%s: %v", key, got.Err)
	}
	if got.Record == nil {
		return ""
	}
	return got.Record.Value
}

// Another process gets from Redis what one has set, removed, expired and invalidated.
func TestWritesReachTheOtherProcess(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c, other := open(t, s), open(t, s)
	for _, test := range []struct {
		name         string
		write        func() error
		fresh, stale string
	}{
		{"set", func() error { return nil }, "k 1", "k 1"},
		{"removed", func() error { return c.Remove(t.Context(), []string{"k", "k"}, remote.Write{}).Err }, "", ""},
		{"expired", func() error { return c.Remove(t.Context(), []string{"k"}, remote.Write{Expire: true}).Err }, "", "k 1"},
		{"invalidated", func() error { return c.InvalidateTags(t.Context(), []string{"tag"}, false) }, "", ""},
		{"cleared", func() error { return c.InvalidateAll(t.Context(), false) }, "", ""},
		{"all expired", func() error { return c.InvalidateAll(t.Context(), true) }, "", "k 1"},
	} {
		if w := set(t, c, " 1", "k"); w.Joined() != nil || has(c, "k") != "k 1" {
			t.Fatalf("%s: %v, %q", test.name, w.Joined(), has(c, "k"))
		}
		if err := test.write(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := has(c, "k"); got != test.fresh {
			t.Errorf("%s: %q in memory, want %q", test.name, got, test.fresh)
		}
		other.Tags.EpochChanged() // Redis reports nothing here
		other.Tags.TagChanged("tag")
		if fresh, stale := fetch(t, other, "k", record.RefreshDue), fetch(t, other, "k", record.IfError); fresh != test.fresh || stale != test.stale {
			t.Errorf("%s: %q, stale %q, want %q and %q", test.name, fresh, stale, test.fresh, test.stale)
		}
		if got := has(other, "k"); got != test.fresh {
			t.Errorf("%s: %q in the other's memory", test.name, got)
		}
	}
}

// What was read before a write isn't kept after it.
func TestOvertakenReadIsNotKept(t *testing.T) {
	t.Parallel()
	c := open(t, redistest.Start(t))
	set(t, c, " old", "k")
	h := c.Keys.Ref("k", hash("k"))
	defer c.Keys.Release(h)
	found := c.Read(t.Context(), []ref{h}, &policy, remote.ReadOptions{})[0]
	if found.Record == nil || found.Record.Value != "k old" {
		t.Fatalf("%+v", found)
	}
	set(t, c, " new", "k")
	if it := c.Fill(h, &found, &policy); it.Value != "k old" || has(c, "k") != "k new" {
		t.Errorf("%q in memory", has(c, "k"))
	}
}

// A write that Redis doesn't take is queued, and hides Redis's content until it is replayed.
func TestQueuedUntilReplayed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := open(t, s)
	set(t, c, " old", "a", "b")
	s.Do("CONFIG", "SET", "min-replicas-to-write", 1) // refuses writes
	if w := set(t, c, " new", "a"); !errors.Is(w.Err, errQueued) || !slices.Equal(w.Queued, []string{"a"}) {
		t.Errorf("%v, queued %v", w.Err, w.Queued)
	}
	if !c.Queue.Hides("a") || c.Queue.Hides("b") {
		t.Error("hides b, or not a")
	}
	if a, b := fetch(t, c, "a", record.RefreshDue), fetch(t, c, "b", record.RefreshDue); a == "a old" || b != "b old" {
		t.Errorf("%q and %q were served", a, b)
	}
	s.Do("CONFIG", "SET", "min-replicas-to-write", 0)
	observe.Until(t, "the change is replayed", func() bool { c.Queue.RetryNow(); return c.Queue.Len() == 0 })
	if v := s.Do("EXISTS", "tc:test:a", "tc:test:b"); v != int64(1) {
		t.Errorf("Redis has %v of the keys", v)
	}
}

// Values that can't be encoded leave their keys as they were. The error names the first of them.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	c := open(t, redistest.Start(t))
	var keys []string
	for i := range 12 {
		keys = append(keys, fmt.Sprintf("k%02d", i))
	}
	w := c.SetMany(t.Context(), keys, func(key string) string {
		if key == "k11" {
			return "good"
		}
		return "bad"
	}, nil, &policy)
	err := w.Joined()
	if w.Err != nil || len(w.Wrong) != 11 || err == nil || !strings.Contains(err.Error(), `"k07"`) || strings.Contains(err.Error(), `"k08"`) || !strings.Contains(err.Error(), "and 3 more") {
		t.Errorf("%d wrong values: %v", len(w.Wrong), err)
	}
	if has(c, "k00") != "" || has(c, "k11") != "good" {
		t.Errorf("%q, %q", has(c, "k00"), has(c, "k11"))
	}
}

// newTask begins a load of the key, which isn't cached.
func newTask(t *testing.T, c *cache, key string) *task {
	t.Helper()
	f, mine := c.Keys.Join(t.Context(), key, hash(key), inflight.ForRead, &inflight.JoinOptions[string, int]{Owner: new(inflight.Owner)})
	if !mine {
		t.Fatal("there is a load already")
	}
	t.Cleanup(func() { c.Keys.Leave(f) })
	found := c.Read(t.Context(), []ref{f.Ref}, &policy, remote.ReadOptions{})[0]
	return &task{Flight: f, Found: found, Began: mono.Now(), Policy: policy}
}

// A load's result replaces the load's lease, unless the key was written meanwhile.
func TestStoreReplacesTheLease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for name, write := range map[string]func(c *cache){
		"k loaded": func(*cache) {},
		"foreign":  func(*cache) { s.Do("SET", "tc:test:k", `"foreign"`) },
		"k 2":      func(c *cache) { set(t, c, " 2", "k") },
		"":         func(c *cache) { c.Remove(t.Context(), []string{"k"}, remote.Write{}) },
	} {
		c := open(t, s)
		c.Remove(t.Context(), []string{"k"}, remote.Write{})
		tk := newTask(t, c, "k")
		var ls tiers.Leases[string, int]
		tasks := c.Acquire(t.Context(), &ls, tiers.Claims[string, int]{Free: []*task{tk}}, &policy, time.Minute)
		if len(tasks) != 1 || tasks[0] != tk {
			t.Fatalf("%q: %d tasks", name, len(tasks))
		}
		other := newTask(t, open(t, s), "k")
		if other.Found.Lease == nil || ls.Held.Owns(other.Found.Seen) != true {
			t.Errorf("%q: no lease in Redis: %+v", name, other.Found)
		}
		write(c)
		c.SetResult(tk, "k loaded", false, nil, &policy)
		c.Store(t.Context(), tasks, ls.Held)
		ls.Held.Release()
		if got := fetch(t, open(t, s), "k", record.RefreshDue); got != name {
			t.Errorf("Redis has %q, want %q", got, name)
		}
	}
}

// A second load of a key gets no lease and waits, and loads without one if Redis can't be asked.
func TestAcquire(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c, other := open(t, s), open(t, s)
	first, second := newTask(t, c, "k"), newTask(t, other, "k")
	var held, none tiers.Leases[string, int]
	if got := c.Acquire(t.Context(), &held, tiers.Claims[string, int]{Free: []*task{first}}, &policy, time.Minute); len(got) != 1 {
		t.Fatalf("%d tasks", len(got))
	}
	if got := other.Acquire(t.Context(), &none, tiers.Claims[string, int]{Free: []*task{second}}, &policy, time.Minute); len(got) != 0 {
		t.Errorf("%d tasks for a key that has a lease", len(got))
	}
	down := tiers.Claims[string, int]{Free: []*task{second}, Err: context.DeadlineExceeded}
	if got := other.Acquire(t.Context(), &none, down, &policy, time.Minute); len(got) != 1 || got[0].Found.Err == nil {
		t.Errorf("%d tasks without Redis", len(got))
	}
	held.Held.Release()
	if v := s.Do("GET", "tc:test:k"); v != nil {
		t.Errorf("the released lease is still there: %q", v)
	}
}

// In a cache without Redis all is in memory.
func TestInProcess(t *testing.T) {
	c := open(t, nil)
	set(t, c, "", "k")
	it := c.Local.Get("k", hash("k"), mono.Now(), nil)
	if it == nil || it.Value != "k" {
		t.Fatalf("%+v", it)
	}
	if err := c.InvalidateTags(t.Context(), []string{"tag"}, true); err != nil {
		t.Error(err)
	}
	if again := c.Rebind(it); has(c, "k") != "" || !again.Stale(mono.Now()) || again.Value != "k" {
		t.Errorf("after an expiry: %q, %+v", has(c, "k"), again)
	}
	if w := c.Remove(t.Context(), []string{"k"}, remote.Write{}); w.Err != nil || has(c, "k") != "" {
		t.Errorf("%v, %q", w.Err, has(c, "k"))
	}
}
