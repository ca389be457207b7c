package tiered

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

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
	b.remove(func() { b.removeTags([]string{"tag"}, replayed, false) })
	if b.waiting() != 2 {
		t.Errorf("%d left of 2 that came later", b.waiting())
	}
	_ = b.queueClear(false, cause)
	replayed = b.mark()
	_ = b.queueTags([]string{"tag"}, false, cause) // the queued Clear must come after it
	b.remove(func() { b.removeClear(replayed, false) })
	if !b.hidesAll() || b.waiting() != 2 {
		t.Errorf("%d left", b.waiting())
	}
	b.written([]string{"k"}, false, b.mark())
	b.remove(func() { b.removeClear(b.number, false) })
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
				"tags":       func(b *writeQueue) { b.removeTags(tags, b.number, expire) },
				"everything": func(b *writeQueue) { b.removeClear(b.number, expire) },
			} {
				b := newWriteQueue(&redisconn.Conn{Timeout: time.Second}, func() bool { return true }, nil)
				c.queue(b)
				b.remove(func() { pay(b) })
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
