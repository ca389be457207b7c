package remote_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/conntest"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/values"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

var view = record.Policy{TTL: time.Minute, Windows: wire.Windows{IfError: time.Minute}}

// open returns the Redis tier of the cache "test" on a server of its own.
func open(t *testing.T) (*remote.Tier[string], *redistest.Server) {
	t.Helper()
	s := redistest.Start(t)
	return remote.New(remote.Options[string]{
		Conn: conntest.Open(t, s.Client(t)), Name: "test",
		Values:      &values.Funcs[string]{Codec: codec.JSON, Name: codec.JSON.Name(), Exited: func(error) {}},
		CountErrors: func([]redisconn.Reply) {},
		Report:      func(string, string, error) {},
	}), s
}

func newRecord(value string) *record.Record[string] {
	return record.New(value, false, time.Hour, coherence.Stamp{})
}

// encoded returns a write of the record.
func encoded(t *testing.T, m *remote.Tier[string], r *record.Record[string]) remote.Write {
	t.Helper()
	w := remote.Write{TTL: time.Hour}
	if err := m.Encode(t.Context(), r, &w, 0); err != nil {
		t.Fatal(err)
	}
	return w
}

// set stores a value whatever the key holds.
func set(t *testing.T, m *remote.Tier[string], key, value string) {
	t.Helper()
	w := encoded(t, m, newRecord(value))
	w.Key = key
	if err := redisconn.FirstError(m.Write(t.Context(), []remote.Write{w}, func() {})); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, m *remote.Tier[string], key string) remote.Result[string] {
	t.Helper()
	f := m.Read(t.Context(), []string{key}, &view, remote.ReadOptions{})[0]
	if f.Err != nil {
		t.Fatal(f.Err)
	}
	return f
}

// What is under a key says how it may be used, and whether a lease may replace it.
func TestRead(t *testing.T) {
	t.Parallel()
	m, s := open(t)
	set(t, m, "ours", "v")
	set(t, m, "damaged", "v")
	s.Do("SETRANGE", "tc:test:damaged", 60, "damage")
	s.Do("SET", "tc:test:foreign", `"v"`, "PX", 10_000)
	s.Do("SET", "tc:test:for ever", `"v"`)
	s.Do("SET", "tc:test:undecodable", `{`)
	s.Do("SET", "tc:test:leased", string(wire.NewLease(time.Second).Bytes()))
	for key, want := range map[string]struct {
		use                      record.Use
		framed, leased, leasable bool
	}{
		"ours":        {record.Good, true, false, false},
		"damaged":     {record.Unusable, false, false, true},
		"foreign":     {record.Good, false, false, false},
		"for ever":    {record.Good, false, false, false},
		"undecodable": {record.Unusable, false, false, false},
		"leased":      {record.Unusable, true, true, true},
		"missing":     {record.Unusable, false, false, true},
	} {
		f := read(t, m, key)
		if use := f.Use(&view.Windows); use != want.use || f.Framed() != want.framed || (f.Lease != nil) != want.leased || f.Leasable() != want.leasable {
			t.Errorf("%s: use %d, framed %v, leased %v, leasable %v, want %+v", key, use, f.Framed(), f.Lease != nil, f.Leasable(), want)
		}
		if f.Record != nil && f.Record.Value != "v" {
			t.Errorf("%s: %q", key, f.Record.Value)
		}
		if key == "foreign" && f.Record.FreshUntil.Since(mono.Now()) > 10*time.Second {
			t.Errorf("%s: fresh until %v, longer than in Redis", key, f.Record.FreshUntil)
		}
	}
}

// The windows that a loader sets for its value reach other processes.
func TestWindowsRoundTrip(t *testing.T) {
	t.Parallel()
	m, _ := open(t)
	own := wire.Windows{RefreshAfter: 2 * time.Minute, WhileRevalidate: 3 * time.Minute, IfError: 4 * time.Minute}
	for name, windows := range map[string]*wire.Windows{"policy's": nil, "own": &own, "none": new(wire.Windows)} {
		r := newRecord("v")
		r.Took, r.Windows = 1500*time.Millisecond, windows
		w := encoded(t, m, r)
		w.Key = name
		m.Write(t.Context(), []remote.Write{w}, func() {})
		switch got := read(t, m, name).Record; {
		case got == nil:
			t.Errorf("%s: nothing", name)
		case (got.Windows == nil) != (windows == nil) || windows != nil && *got.Windows != *windows:
			t.Errorf("%s: %+v", name, got.Windows)
		case got.Took != r.Took:
			t.Errorf("%s: took %v", name, got.Took)
		}
	}
}

// The result of a load replaces its own lease only.
func TestReplaceOwnLease(t *testing.T) {
	t.Parallel()
	m, s := open(t)
	loaded := encoded(t, m, newRecord("loaded"))
	for name, c := range map[string]struct {
		meanwhile func(key string)
		stored    bool
	}{
		"nothing":   {func(string) {}, true},
		"a delete":  {func(key string) { s.Do("DEL", "tc:test:"+key) }, false},
		"a set":     {func(key string) { set(t, m, key, "set") }, false},
		"a foreign": {func(key string) { s.Do("SET", "tc:test:"+key, `"set"`) }, false},
		"another lease": {func(key string) {
			s.Do("SET", "tc:test:"+key, string(wire.NewLease(time.Second).Bytes()))
		}, false},
	} {
		l := wire.NewLease(time.Minute)
		if a := m.Lease(t.Context(), []string{name}, make([]redisconn.Expected, 1), l)[0]; !remote.Leased(a) {
			t.Fatalf("%s: no lease: %v", name, a.Err)
		}
		if a := m.Lease(t.Context(), []string{name}, make([]redisconn.Expected, 1), wire.NewLease(time.Minute))[0]; remote.Leased(a) {
			t.Fatalf("%s: two leases", name)
		}
		c.meanwhile(name)
		a := m.Replace(t.Context(), []remote.Write{{Key: name, Frame: loaded.Frame, TTL: time.Hour, Seen: remote.SeenLease(l)}})[0]
		if a.Err != nil || a.Swapped() != c.stored {
			t.Errorf("after %s: stored %v, %v", name, a.Swapped(), a.Err)
		}
	}
}

// A secondary lease leaves the value where it is. The second one to ask gets the first one's lease.
func TestLeaseSecondary(t *testing.T) {
	t.Parallel()
	m, _ := open(t)
	set(t, m, "k", "old")
	keys, old := []string{"k"}, read(t, m, "k")
	l := wire.NewLease(time.Minute)
	if theirs := remote.Holder(m.LeaseSecondary(t.Context(), keys, l)[0]); theirs != nil {
		t.Fatalf("held by %q", theirs)
	}
	if theirs := remote.Holder(m.LeaseSecondary(t.Context(), keys, wire.NewLease(time.Minute))[0]); string(theirs) != string(l.Bytes()) {
		t.Errorf("held by %q, want %q", theirs, l.Bytes())
	}
	if got := read(t, m, "k").Record; got == nil || got.Value != "old" {
		t.Errorf("the value is %v", got)
	}
	if !m.Unchanged(t.Context(), keys, []redisconn.Expected{old.Seen})[0] {
		t.Error("the value counts as changed")
	}
	set(t, m, "k", "new")
	if m.Unchanged(t.Context(), keys, []redisconn.Expected{old.Seen})[0] {
		t.Error("a new value counts as the old one")
	}
}

// A load knows its own leases. Those that no value has replaced are free once they are released.
func TestHeldLeases(t *testing.T) {
	t.Parallel()
	m, s := open(t)
	var life redisconn.Lifecycle
	released := make(map[string]bool)
	l := wire.NewLease(time.Minute)
	held := m.NewHeldLeases(l, remote.Holding{Base: context.Background(), Life: &life, Released: func(key string) { released[key] = true }})
	keys := []string{"a", "b", "stored"}
	for i, a := range m.Lease(t.Context(), keys, make([]redisconn.Expected, len(keys)), held.Current()) {
		if !remote.Leased(a) {
			t.Fatal(a.Err)
		}
		held.Add(keys[i])
	}
	m.LeaseSecondary(t.Context(), []string{"beside"}, held.Current())
	held.AddSecondary("beside")
	set(t, m, "stored", "v")
	held.Drop([]string{"stored"})
	if !held.Owns(read(t, m, "a").Seen) {
		t.Error("its own lease isn't known")
	}
	held.Release()
	held.Release() // has no effect
	if n := s.Do("DBSIZE"); n != int64(1) {
		t.Errorf("%v keys are left", n)
	}
	if want := map[string]bool{"a": true, "b": true, "beside": true}; fmt.Sprint(released) != fmt.Sprint(want) {
		t.Errorf("released %v", released)
	}
	life.Close()
	life.Wait()
	var none *remote.HeldLeases[string]
	none.Drop(keys)
	none.Release()
}

// An invalidation that is replayed removes what is older, and nothing newer.
func TestRetract(t *testing.T) {
	t.Parallel()
	m, s := open(t)
	set(t, m, "older", "v")
	set(t, m, "stale", "v")
	s.Do("RPUSH", "tc:test:list", "v")
	until := m.Conn.Time(t.Context()).Add(time.Minute)
	past := until.Add(-time.Hour)
	set(t, m, "newer", "v")
	keys := []string{"older", "newer", "stale", "list", "missing"}
	for i, err := range m.Retract(t.Context(), keys, []remote.Invalidation{{Until: until}, {Until: past}, {Until: until, Expire: true}, {}, {}}) {
		if err != nil {
			t.Errorf("%s: %v", keys[i], err)
		}
	}
	for key, want := range map[string]record.Use{"older": record.Unusable, "newer": record.Good, "stale": record.IfError, "list": record.Unusable} {
		if f := read(t, m, key); f.Use(&view.Windows) != want {
			t.Errorf("%s: use %d, want %d", key, f.Use(&view.Windows), want)
		}
	}
	if s.Do("EXISTS", "tc:test:list") != int64(0) {
		t.Error("another type's value is left")
	}
}
