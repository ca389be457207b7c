package inflight_test

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

type (
	table   = inflight.Table[string, int]
	options = inflight.JoinOptions[string, int]
)

var seed = maphash.MakeSeed()

func hash(key string) uint64 { return maphash.String(seed, key) }

func open(t *testing.T) (*table, *local.Tier[string]) {
	t.Helper()
	l, err := local.New[string](local.Options{MaxCost: 1000, Retention: new(record.Retention), Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return inflight.New[string, int](l), l
}

// newItem returns an item that is valid for an hour.
func newItem(l *local.Tier[string], key, value string) *local.Item[string] {
	r := record.New(value, false, time.Hour, coherence.Stamp{})
	deps := coherence.Deps{Validity: coherence.Always, Epoch: coherence.NewEpoch(coherence.EpochID{}, 0, coherence.Always)}
	return l.NewItem(key, hash(key), r, deps, mono.Now().Add(time.Hour))
}

// has returns the value that the local tier has under the key, or "".
func has(l *local.Tier[string], key string) string {
	if it := l.Get(key, hash(key), mono.Now(), new(wire.Windows)); it != nil {
		return it.Value
	}
	return ""
}

func join(t *testing.T, tb *table, key string, why inflight.Reason) (*inflight.Flight[string, int], bool) {
	t.Helper()
	return tb.Join(t.Context(), key, hash(key), why, &options{Owner: new(inflight.Owner), Limit: time.Second})
}

// What was read or loaded before a change isn't kept after it.
func TestPut(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile          func(tb *table, l *local.Tier[string])
		read, loaded, next bool // kept; next: a new caller joins the flight
	}{
		"nothing":     {func(*table, *local.Tier[string]) {}, true, true, true},
		"a change":    {func(tb *table, _ *local.Tier[string]) { tb.Changed("k", hash("k")) }, false, false, false},
		"another key": {func(tb *table, _ *local.Tier[string]) { tb.Changed("other", hash("other")) }, true, true, true},
		"a gap":       {func(tb *table, _ *local.Tier[string]) { tb.Interrupted() }, false, false, false},
		"a write": {func(tb *table, l *local.Tier[string]) {
			tb.EndWrite(tb.BeginWrite("k", hash("k")), newItem(l, "k", "written"), false)
		}, false, false, false},
		"a write that hasn't ended": {func(tb *table, _ *local.Tier[string]) { tb.BeginWrite("k", hash("k")) }, false, false, false},
		"a clear":                   {func(tb *table, _ *local.Tier[string]) { tb.SupersedeAll() }, false, false, false},
		"a load": {func(tb *table, l *local.Tier[string]) {
			h := tb.Ref("k", hash("k"))
			tb.PutLoaded(h, newItem(l, "k", "loaded before"))
			tb.Release(h)
		}, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, loads := range []bool{false, true} {
				tb, l := open(t)
				f, _ := join(t, tb, "k", inflight.ForRead)
				c.meanwhile(tb, l)
				if joined := tb.Joinable("k", hash("k")) == f; joined != c.next {
					t.Errorf("a new caller joins: %v", joined)
				}
				want, put := c.read, tb.PutRead
				if loads {
					want, put = c.loaded, tb.PutLoaded
				}
				put(f.Ref, newItem(l, "k", "v"))
				if got := has(l, "k"); (got == "v") != want {
					t.Errorf("loaded %v: the local tier has %q", loads, got)
				}
				tb.Leave(f)
			}
		})
	}
}

// A caller joins a flight whose result it may have.
func TestJoin(t *testing.T) {
	for name, c := range map[string]struct {
		first, second inflight.Reason
		retry, joins  bool
	}{
		"a read joins a read":           {inflight.ForRead, inflight.ForRead, false, true},
		"a read joins a refresh behind": {inflight.ForBackground, inflight.ForRead, false, true},
		"a refresh begins anew":         {inflight.ForRead, inflight.ForRefresh, false, false},
		"all join a refresh":            {inflight.ForRefresh, inflight.ForRead, false, true},
		"refreshes share":               {inflight.ForRefresh, inflight.ForRefresh, false, true},
		"a retry begins anew":           {inflight.ForRead, inflight.ForRead, true, false},
	} {
		tb, _ := open(t)
		f, isNew := join(t, tb, "k", c.first)
		if !isNew {
			t.Fatal("the first flight isn't new")
		}
		g, isNew := tb.Join(t.Context(), "k", hash("k"), c.second, &options{Owner: new(inflight.Owner), Limit: time.Second, Retry: c.retry})
		if isNew == c.joins || (f == g) != c.joins {
			t.Errorf("%s: joined %v, want %v", name, f == g, c.joins)
		}
		if isNew {
			tb.Leave(g)
		}
		tb.Leave(f)
		if n := tb.Len(); n != 0 {
			t.Errorf("%s: %d states are left", name, n)
		}
	}
}

// A loader that asks for its own key gets its own flight, even if it isn't joined any more.
func TestJoinOwnFlight(t *testing.T) {
	tb, _ := open(t)
	p := new(inflight.Owner)
	f, _ := tb.Join(t.Context(), "k", hash("k"), inflight.ForRead, &options{Owner: p})
	ctx, done := inflight.NewContext(context.Background(), t.Context(), p, time.Hour, func() {})
	defer done()
	if g, isNew := tb.Join(ctx, "k", hash("k"), inflight.ForRefresh, &options{Owner: new(inflight.Owner)}); g != f || isNew {
		t.Error("the loader waits for another flight")
	}
	tb.Leave(f)
}

// The one report of a change that a flight with a lease expects doesn't end joining. The second does.
func TestOwnEvent(t *testing.T) {
	for _, own := range []bool{false, true} {
		tb, _ := open(t)
		tb.OwnEvents = own
		f, _ := join(t, tb, "k", inflight.ForRead)
		tb.BeginLoad(f, true)
		tb.Changed("k", hash("k"))
		if joined := tb.Joinable("k", hash("k")) == f; joined != own {
			t.Errorf("own events %v: joined after the first report: %v", own, joined)
		}
		tb.Changed("k", hash("k"))
		if tb.Joinable("k", hash("k")) != nil {
			t.Errorf("own events %v: joined after the second report", own)
		}
		tb.Leave(f)
	}
}

// A flight that listens is woken once by a change, and leaves no channel behind.
func TestListen(t *testing.T) {
	tb, _ := open(t)
	other := tb.Ref("k", hash("k")) // keeps the state
	defer tb.Release(other)
	for name, change := range map[string]func(){
		"changed":     func() { tb.Changed("k", hash("k")) },
		"woken":       func() { tb.Wake("k", hash("k")) },
		"released":    func() { tb.Released("k", hash("k")) },
		"interrupted": func() { tb.Interrupted() },
	} {
		f, _ := join(t, tb, "k", inflight.ForRead)
		f.Wake = make(chan struct{}, 1)
		f.Ref = tb.Listen(f.Ref, f.Wake)
		if !tb.IsCurrent(f) {
			t.Errorf("%s: changed before", name)
		}
		change()
		if len(f.Wake) != 1 || tb.IsCurrent(f) {
			t.Errorf("%s: woken %d times, current %v", name, len(f.Wake), tb.IsCurrent(f))
		}
		<-f.Wake
		r := inflight.NewRetries(tb)
		delay := func(f *inflight.Flight[string, int]) { r.Delay(f, time.Hour) }
		leave := func(*inflight.Flight[string, int]) { r.Close() }
		for _, end := range []func(*inflight.Flight[string, int]){tb.StopListening, delay, leave} {
			f.Ref = tb.Listen(f.Ref, f.Wake)
			end(f)
			if tb.Wake("k", hash("k")); len(f.Wake) != 0 {
				t.Fatalf("%s: woken after its end", name)
			}
		}
	}
}

// Keys that outlive a call are copies.
func TestKeysAreCopied(t *testing.T) {
	tb, _ := open(t)
	buf := []byte("key")
	lent := unsafe.String(&buf[0], len(buf))
	f, _ := join(t, tb, lent, inflight.ForRead)
	h := tb.BeginWrite(lent, hash("key"))
	copy(buf, "xxx")
	if f.Key != "key" || h.Key != "key" {
		t.Errorf("%q, %q", f.Key, h.Key)
	}
	tb.EndWrite(h, nil, false)
	tb.Leave(f)
	if tb.Len() != 0 {
		t.Error("a state is left")
	}
}

// A batch's flights are allocated together, each with a state of its own.
func TestBatch(t *testing.T) {
	tb, _ := open(t)
	o := options{Owner: new(inflight.Owner), Size: 100}
	var all []*inflight.Flight[string, int]
	for i := range 100 {
		key := strings.Repeat("k", i+1)
		f, isNew := tb.Join(t.Context(), key, hash(key), inflight.ForRead, &o)
		if !isNew || f.Key != key || slices.Contains(all, f) {
			t.Fatalf("%d: %q, %v", i, f.Key, isNew)
		}
		all = append(all, f)
	}
	if tb.Len() != 100 {
		t.Errorf("%d states", tb.Len())
	}
	for _, f := range all {
		f.Finish(nil, errors.New("ended"))
		tb.Leave(f)
	}
	if tb.Len() != 0 {
		t.Errorf("%d states are left", tb.Len())
	}
}

// A write lock excludes others until both the writer and its call have released it.
func TestWriteLock(t *testing.T) {
	tb, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, b := tb.Ref("a", hash("a")), tb.Ref("b", hash("b"))
	defer tb.Release(a)
	defer tb.Release(b)
	refs := []inflight.Ref[string, int]{b, a}
	first, locked, busy := tb.LockWrites(ctx, refs[1:], false)
	if !slices.Equal(locked, []int{0}) || busy != nil {
		t.Fatalf("locked %v, busy %v", locked, busy)
	}
	first.Retain()
	first.Release()
	second, locked, busy := tb.LockWrites(ctx, refs, true)
	if !slices.Equal(locked, []int{0}) || !slices.Equal(busy, []int{1}) {
		t.Errorf("locked %v, busy %v, while a call is under way", locked, busy)
	}
	second.Release()
	first.Release()
	third, locked, _ := tb.LockWrites(ctx, refs, false)
	if !slices.Equal(locked, []int{1, 0}) { // in the order of the keys
		t.Errorf("locked %v", locked)
	}
	third.Release()
}

// Two batches with common keys in different orders don't wait for each other.
func TestWriteLockOrder(t *testing.T) {
	tb, _ := open(t)
	keys := strings.Split("abcdefgh", "")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for range 200 {
				var refs []inflight.Ref[string, int]
				for i := range keys {
					key := keys[(i*(2*g+1))%len(keys)]
					refs = append(refs, tb.Ref(key, hash(key)))
				}
				l, locked, _ := tb.LockWrites(t.Context(), refs, true)
				if len(locked) != len(refs) {
					t.Errorf("locked %d", len(locked))
				}
				l.Release()
				for _, h := range refs {
					tb.Release(h)
				}
			}
		})
	}
	wg.Wait()
	if tb.Len() != 0 {
		t.Errorf("%d states are left", tb.Len())
	}
}

func TestLatch(t *testing.T) {
	var l inflight.Latch
	before := l.Done()
	if l.IsSet() {
		t.Error("set at first")
	}
	l.Set()
	<-before
	<-l.Done()
	if !l.IsSet() {
		t.Error("not set")
	}
	defer func() {
		if recover() == nil {
			t.Error("it was set twice")
		}
	}()
	l.Set()
}

// A caller waits until the flight has its result, or its own context ends. A context that can't end is one of them.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb, _ := open(t)
		f, _ := join(t, tb, "k", inflight.ForRead)
		ending, cancel := context.WithCancel(t.Context())
		var waiting, gone sync.WaitGroup
		for _, ctx := range []context.Context{context.Background(), t.Context()} {
			waiting.Go(func() {
				if f.Wait(ctx); !f.Finished() {
					t.Error("a wait ended before the flight")
				}
			})
		}
		gone.Go(func() { f.Wait(ending) })
		synctest.Wait()
		cancel()
		gone.Wait()
		if f.Finished() {
			t.Error("a caller that is gone finished the flight")
		}
		f.Finish(nil, nil)
		waiting.Wait()
		f.Wait(ending)
	})
}
