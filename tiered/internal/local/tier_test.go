package local_test

import (
	"hash/maphash"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var seed = maphash.MakeSeed()

func hash(key string) uint64 { return maphash.String(seed, key) }

// open returns a tier for 1000 entries, whose options the edit may change.
func open(t *testing.T, edit func(*local.Options)) *local.Tier[int] {
	t.Helper()
	o := local.Options{MaxCost: 1000, Retention: new(record.Retention), Hash: hash}
	if edit != nil {
		edit(&o)
	}
	l, err := local.New[int](o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// keeping returns a retention for views with the windows.
func keeping(w wire.Windows) *record.Retention {
	k := new(record.Retention)
	k.Add(&w)
	return k
}

var always = coherence.Deps{Validity: coherence.Always}

// put sets the value, which was created at 0 and is fresh for 100 s. Its local end is the same.
func put(l *local.Tier[int], key string, value int, m record.Meta, deps coherence.Deps) *local.Item[int] {
	r := &record.Record[int]{Value: value, FreshUntil: seconds(100), Meta: &m}
	it := l.NewItem(key, hash(key), r, deps, r.FreshUntil)
	l.Set(hash(key), it)
	return it
}

func seconds(s time.Duration) mono.Instant { return mono.Instant(s * time.Second) }

// got returns what a Get of the key returns; 0: nothing.
func got(l *local.Tier[int], key string, at mono.Instant, w *wire.Windows) int {
	it := l.Get(key, hash(key), at, w)
	return valueOf(it)
}

func valueOf(it *local.Item[int]) int {
	if it == nil {
		return 0
	}
	return it.Value
}

func TestSetGetDelete(t *testing.T) {
	l := open(t, nil)
	if v := got(l, "k", 0, nil); v != 0 {
		t.Errorf("got %d before a Set", v)
	}
	put(l, "k", 1, record.Meta{}, always)
	put(l, "other", 7, record.Meta{}, always)
	if v := got(l, "k", 0, nil); v != 1 {
		t.Errorf("got %d after Set", v)
	}
	older := put(l, "k", 2, record.Meta{}, always)
	if v := got(l, "k", 0, nil); v != 2 || older.Deleted() {
		t.Errorf("got %d after another Set, deleted %v", v, older.Deleted())
	}
	l.Delete("k", hash("k"))
	if v := got(l, "k", 0, nil); v != 0 {
		t.Errorf("got %d after Delete", v)
	}
	if !older.Deleted() {
		t.Error("an item that was deleted doesn't know")
	}
	if v := got(l, "other", 0, nil); v != 7 {
		t.Errorf("got %d for another key", v)
	}
	if s := l.Stats(); s.Hits != 3 {
		t.Errorf("%+v", s)
	}
}

// Two keys of one hash have one place in ristretto. Neither gets the other's value, and deleting the one doesn't delete the other. The
// one that lost its place may still be in front.
func TestSameHash(t *testing.T) {
	l := open(t, func(o *local.Options) { o.Hash = func(string) uint64 { return 1 } })
	set := func(key string, value int) {
		l.Set(1, l.NewItem(key, 1, record.New(value, false, time.Hour, coherence.Stamp{}), always, math.MaxInt64))
	}
	get := func(key string) int {
		it := l.Get(key, 1, mono.Now(), nil)
		return valueOf(it)
	}
	set("a", 1)
	if a, b := get("a"), get("b"); a != 1 || b != 0 {
		t.Errorf("a %d, b %d", a, b)
	}
	l.Delete("b", 1)
	if a := get("a"); a != 1 {
		t.Errorf("a %d after b was deleted", a)
	}
	set("b", 2)
	if a, b := get("a"), get("b"); a != 0 && a != 1 || b != 2 {
		t.Errorf("a %d, b %d after b was set", a, b)
	}
}

// What each kind of Get returns of a value that was created at 0, is fresh for 100 s, stale for 10 s more while it is
// revalidated, and for 20 s more a fallback.
// An item whose LocalTTL is over is a fallback, but it isn't served before Redis was read.
// An item whose validity has run out is served only while its server doesn't answer, or if Redis couldn't be read.
// An expiry of its tag makes an item stale, and an invalidation removes it.
func TestExpire(t *testing.T) {
	for _, tc := range []struct {
		name string
		m    record.Meta
		w    wire.Windows
		want bool
	}{
		{"a fallback", record.Meta{}, wire.Windows{IfError: time.Hour}, true},
		{"no windows", record.Meta{}, wire.Windows{}, false},
		{"windows of its own", record.Meta{Windows: &wire.Windows{IfError: time.Hour}}, wire.Windows{}, true},
		{"an absence", record.Meta{Absent: true}, wire.Windows{IfError: time.Hour}, false},
	} {
		l := open(t, func(o *local.Options) { o.Retention = keeping(tc.w) })
		r := record.New(1, false, time.Hour, coherence.Stamp{})
		r.Meta = &tc.m
		it := l.NewItem("k", hash("k"), r, always, r.FreshUntil)
		l.Set(hash("k"), it)
		l.Expire("k", hash("k"))
		at := mono.Now()
		if v := got(l, "k", at, &tc.w); v != 0 {
			t.Errorf("%s: Get returns %d", tc.name, v)
		}
		stale := l.GetStale("k", hash("k"), at)
		if (stale != nil) != tc.want || stale != nil && (!stale.Stale(at) || stale.Value != 1) {
			t.Errorf("%s: GetStale returns %+v", tc.name, stale)
		}
		if it.Expired {
			t.Errorf("%s: the item itself was changed", tc.name)
		}
	}
	l := open(t, nil)
	l.Expire("none", hash("none"))
}

func TestWithDeps(t *testing.T) {
	l := open(t, nil)
	it := put(l, "k", 1, record.Meta{}, always)
	deps := &coherence.Deps{Validity: coherence.Never}
	other := it.WithDeps(deps)
	if other.Deps != deps || other.Value != 1 || other.Key != "k" || other.LocalUntil() != it.LocalUntil() || !it.Valid(0) || other.Valid(0) {
		t.Errorf("%+v of %+v", other, it)
	}
}

// A miss is still one until something is set, or if something of use was passed over.
// A closed tier serves nothing, keeps nothing, and nobody waits in it.
func TestClosed(t *testing.T) {
	l, err := local.New[int](local.Options{MaxCost: 10, Retention: new(record.Retention), Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	put(l, "k", 1, record.Meta{}, always)
	l.Close()
	put(l, "k", 2, record.Meta{}, always)
	l.Delete("other", hash("other"))
	l.Expire("k", hash("k"))
	l.WaitForRoom(hash("k"))
	if it := l.Get("k", hash("k"), 0, nil); it != nil {
		t.Errorf("%+v", it)
	}
	if s := l.Stats(); s.Entries != 0 || s.Cost != 0 {
		t.Errorf("%+v", s)
	}
}

// Items that are of no use leave the tier by themselves.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := local.New[int](local.Options{MaxCost: 1000, Retention: keeping(wire.Windows{IfError: time.Minute}), Hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		set := func(key string, freshFor time.Duration, deps coherence.Deps) {
			r := record.New(1, false, freshFor, coherence.Stamp{})
			l.Set(hash(key), l.NewItem(key, hash(key), r, deps, r.FreshUntil))
		}
		tag := &coherence.TagState{Validity: coherence.Always}
		set("short", time.Second, always)
		set("long", time.Hour, always)
		set("tagged", time.Hour, coherence.Deps{Validity: coherence.Always, Tags: []*coherence.TagState{tag}})
		for _, step := range []struct {
			wait time.Duration
			left int64
		}{{time.Second, 3}, {30 * time.Second, 2}, {40 * time.Second, 1}, {2 * time.Hour, 0}} {
			time.Sleep(step.wait)
			synctest.Wait()
			if s := l.Stats(); s.Entries != step.left || s.Evicted != 0 {
				t.Errorf("after %v more: %+v, want %d entries", step.wait, s, step.left)
			}
			tag.Dead.Store(true)
		}
	})
}

// What costs more than the item that it replaces makes room for itself.
func TestCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := local.New[int](local.Options{MaxCost: 100, Costed: true, Retention: new(record.Retention), Hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, cost := range []int64{1, 60, 0, 90, -5} {
			put(l, "k", 1, record.Meta{Cost: cost}, always)
			synctest.Wait()
			if s := l.Stats(); s.Cost != max(1, cost) || s.Entries != 1 {
				t.Errorf("cost %d: %+v", cost, s)
			}
		}
		rejected := l.Stats().Rejected
		for _, when := range []string{"at once", "later"} {
			put(l, "k", 2, record.Meta{Cost: 101}, always)
			if when == "later" {
				synctest.Wait()
			}
			if v := got(l, "k", 0, nil); v == 1 || v == 2 {
				t.Errorf("more than there is room for, %s: got %d", when, v)
			}
		}
		if s := l.Stats(); s.Entries != 0 || s.Rejected != rejected+2 {
			t.Errorf("more than there is room for: %+v", s)
		}
	})
}

func TestHitAllocatesNothing(t *testing.T) {
	l := open(t, nil)
	tag := &coherence.TagState{Validity: coherence.Always}
	epoch := coherence.NewEpoch(coherence.EpochID{1}, 0, coherence.Always)
	put(l, "k", 1, record.Meta{}, coherence.Deps{Validity: coherence.Always, Epoch: epoch, Tags: []*coherence.TagState{tag}})
	w := wire.Windows{WhileRevalidate: time.Second}
	h := hash("k")
	if n := testing.AllocsPerRun(1000, func() {
		if it := l.Get("k", h, seconds(1), &w); it == nil || it.NeedsRefresh(&w, seconds(1)) {
			t.Error("no hit")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
