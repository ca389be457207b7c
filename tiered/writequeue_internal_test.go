package tiered

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// A replay removes a key's value unless the value was certainly made after the change.
func TestOutdates(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	made := func(after, took time.Duration, expired bool) []byte {
		return frameBytes(&wire.Frame{Codec: "json", Created: at.Add(after), Took: took, FreshFor: time.Minute, Expired: expired})
	}
	deletes, expires, unknown := queuedInvalidation{until: at}, queuedInvalidation{until: at, expire: true}, queuedInvalidation{}
	damaged := made(time.Hour, 0, false)
	damaged[len(damaged)-1] ^= 1
	for name, c := range map[string]struct {
		debt  queuedInvalidation
		holds []byte
		taken bool
		head  bool
	}{
		"an older Set":                {deletes, made(-time.Second, 0, false), true, true},
		"a Set at the same time":      {deletes, made(0, 0, false), true, true},
		"a newer Set":                 {deletes, made(time.Millisecond, 0, false), false, false},
		"a load that began later":     {deletes, made(2*time.Second, time.Second, false), false, false},
		"a load that began before":    {deletes, made(2*time.Second, 2*time.Second+1, false), true, true},
		"a newer one, no clock":       {unknown, made(time.Hour, 0, false), true, true},
		"an expired one to delete":    {deletes, made(-time.Second, 0, true), true, true},
		"an expired one to expire":    {expires, made(-time.Second, 0, true), true, true}, // a refresh may be under way
		"a fresh one to expire":       {expires, made(-time.Second, 0, false), true, true},
		"a newer one to expire":       {expires, made(time.Second, 0, false), false, false},
		"a lease":                     {deletes, wire.NewLease(time.Second).Bytes(), true, true},
		"a lease to expire":           {expires, wire.NewLease(time.Second).Bytes(), true, true},
		"a damaged frame":             {deletes, damaged, true, false},
		"another program's":           {deletes, []byte(`"v"`), true, false},
		"an empty one":                {deletes, nil, true, false},
		"another program's to expire": {expires, []byte(`"v"`), true, false},
	} {
		if got := c.debt.outdates(c.holds); got.Exists != c.taken || got.Head != c.head {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A change that fails while an earlier change of the same key or tag is being replayed is replayed too.
func TestQueuedDuringAReplay(t *testing.T) {
	b := newWriteQueue(&redisconn.Conn{Timeout: time.Second}, func() bool { return true }, nil)
	cause := errors.New("down")
	fail := func() {
		for _, err := range []error{
			b.failed([]string{"k"}, false, cause),
			b.queueTags([]string{"tag"}, false, cause),
		} {
			if !errors.Is(err, ErrQueued) || !errors.Is(err, cause) {
				t.Error(err)
			}
		}
	}
	fail()
	replayed := b.mark()
	fail()
	b.written([]string{"k"}, false, replayed)
	b.pay(func() { b.payTags([]string{"tag"}, replayed, false) })
	if b.waiting() != 2 {
		t.Errorf("%d left of 2 that came later", b.waiting())
	}
	_ = b.queueClear(false, cause)
	replayed = b.mark()
	_ = b.queueTags([]string{"tag"}, false, cause) // the queued Clear must come after it
	b.pay(func() { b.payClear(replayed, false) })
	if !b.hidesAll() || b.waiting() != 2 {
		t.Errorf("%d left", b.waiting())
	}
	b.written([]string{"k"}, false, b.mark())
	b.pay(func() { b.payClear(b.number, false) })
	if b.waiting() != 0 || b.hidesAll() || b.hides("k") {
		t.Errorf("%d left", b.waiting())
	}
	if n := b.close(); n != 0 {
		t.Errorf("%d left", n)
	}
	if err := b.failed([]string{"k"}, false, cause); err != cause || b.waiting() != 0 {
		t.Errorf("closed: %v, %d", err, b.waiting())
	}
}

// An expiry that Redis accepts makes queued expiries unnecessary, but no invalidation; an invalidation makes both unnecessary.
func TestWhatPaysForExpiries(t *testing.T) {
	cause := errors.New("down")
	tags := []string{"tag"}
	for name, c := range map[string]struct {
		queue func(b *writeQueue)
		left  [2]int // after an invalidation, after an expiry
		all   [2]int // the same for changes of all values
	}{
		"an expiry":       {func(b *writeQueue) { _ = b.queueTags(tags, true, cause) }, [2]int{0, 0}, [2]int{0, 0}},
		"an invalidation": {func(b *writeQueue) { _ = b.queueTags(tags, false, cause) }, [2]int{0, 1}, [2]int{0, 1}},
		"both": {func(b *writeQueue) { _, _ = b.queueTags(tags, false, cause), b.queueTags(tags, true, cause) },
			[2]int{0, 1}, [2]int{0, 1}},
		"ExpireAll":           {func(b *writeQueue) { _ = b.queueClear(true, cause) }, [2]int{1, 1}, [2]int{0, 0}},
		"Clear":               {func(b *writeQueue) { _ = b.queueClear(false, cause) }, [2]int{1, 1}, [2]int{0, 1}},
		"ExpireAll and Clear": {func(b *writeQueue) { _, _ = b.queueClear(true, cause), b.queueClear(false, cause) }, [2]int{1, 1}, [2]int{0, 1}},
		"Clear and ExpireAll": {func(b *writeQueue) { _, _ = b.queueClear(false, cause), b.queueClear(true, cause) }, [2]int{1, 1}, [2]int{0, 1}},
	} {
		for i, expire := range []bool{false, true} {
			for of, pay := range map[string]func(b *writeQueue){
				"tags":       func(b *writeQueue) { b.payTags(tags, b.number, expire) },
				"everything": func(b *writeQueue) { b.payClear(b.number, expire) },
			} {
				b := newWriteQueue(&redisconn.Conn{Timeout: time.Second}, func() bool { return true }, nil)
				c.queue(b)
				b.pay(func() { pay(b) })
				want := c.left[i]
				if of == "everything" {
					want = c.all[i]
				}
				if b.waiting() != want || b.hidesAll() != (want > 0) {
					t.Errorf("%s, then of %s with expire %v: %d left, want %d", name, of, expire, b.waiting(), want)
				}
			}
		}
	}
}

// Changes that exceed the queue's limit leave no memory behind.
func TestMemoryOfAFullQueue(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	b := newWriteQueue(&redisconn.Conn{Timeout: time.Second}, func() bool { return true }, nil)
	before := heap()
	fail := func() error {
		keys := make([]string, 300_000)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
		}
		return b.failed(keys, false, errors.New("down"))
	}
	if err := fail(); !errors.Is(err, ErrQueued) || b.waiting() != 1 {
		t.Errorf("%v, %d queued", err, b.waiting())
	}
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("%d bytes are left", grown)
	}
	runtime.KeepAlive(b)
}
