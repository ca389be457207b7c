package local

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// Few keys, which are read, set and deleted by all goroutines and evicted by many others: nobody reads what was replaced or deleted before
// the read began. Each key has one goroutine that writes it, one version after another.
func TestReadsOfFewKeys(t *testing.T) {
	t.Parallel()
	const keys, rounds = 8, 3_000
	for _, maxCost := range []int64{6, 40, 1_000_000} { // the first two have no room for all, and evict
		t.Run(strconv.FormatInt(maxCost, 10), func(t *testing.T) {
			t.Parallel()
			l, _ := openGrowing(t, maxCost, false)
			var versions [keys]atomic.Int64 // the last one that was set; negative: it was deleted
			set := func(key string, value int) { l.Set(l.hash(key), newItem(l, key, value, 0)) }
			var writers, others sync.WaitGroup
			var done atomic.Bool
			for k := range keys {
				writers.Go(func() {
					key := fmt.Sprint("key", k)
					for version := 1; version <= rounds; version++ {
						if version%4 == 0 {
							l.Delete(key, l.hash(key))
							versions[k].Store(int64(-version))
						} else {
							set(key, version)
							versions[k].Store(int64(version))
						}
						for range 4 {
							if it := l.Get(key, l.hash(key), mono.Now(), nil); it != nil && it.Value != version {
								t.Errorf("%s: got %d after %d", key, it.Value, version)
								return
							}
						}
					}
				})
			}
			for g := range 2 {
				others.Go(func() {
					rnd := rand.New(rand.NewPCG(5, uint64(g)))
					for n := 0; !done.Load(); n++ {
						k := rnd.IntN(keys)
						key := fmt.Sprint("key", k)
						least := versions[k].Load()
						it := l.Get(key, l.hash(key), mono.Now(), nil)
						if it != nil && (least > 0 && int64(it.Value) < least || least < 0 && int64(it.Value) < -least) {
							t.Errorf("%s: got %d, though %d was there before", key, it.Value, least)
							return
						}
						if n%8 == 0 {
							set(fmt.Sprint("other", rnd.IntN(100)), 0) // evicts
						}
					}
				})
			}
			writers.Wait()
			done.Store(true)
			others.Wait()
		})
	}
}

// openRead returns a tier of some items that have all been read twice, so that most are in the front.
func openRead(t *testing.T, items int) (l *Tier[int], hashes []uint64) {
	t.Helper()
	l, set := openGrowing(t, 1<<20, false)
	for i := range items {
		set(i, 1)
	}
	l.settle(t)
	for i := range 2 * items {
		key := strconv.Itoa(i % items)
		if l.Get(key, l.hash(key), mono.Now(), nil) == nil {
			t.Fatalf("%s is missing", key)
		}
	}
	for i := range items {
		hashes = append(hashes, l.hash(strconv.Itoa(i)))
	}
	return l, hashes
}

// Most items that have been read are in the front, and what has left ristretto leaves it.
func TestFrontFollowsRistretto(t *testing.T) {
	t.Parallel()
	const items = 10_000
	l, hashes := openRead(t, items)
	in := func() (n int) {
		f := l.front.Load()
		for i := range f.slots {
			if f.slots[i].Load() != nil {
				n++
			}
		}
		return n
	}
	if n := in(); n < items*9/10 {
		t.Errorf("%d of %d items are in the front", n, items)
	}
	if s := l.Stats(); s.Hits != 2*items {
		t.Errorf("%d hits counted, want %d", s.Hits, 2*items)
	}
	for i, hash := range hashes {
		if i%2 == 0 {
			l.Delete(strconv.Itoa(i), hash)
		}
	}
	f := l.front.Load()
	for i, hash := range hashes {
		if there := f.get(strconv.Itoa(i), hash) != nil; there && i%2 == 0 {
			t.Fatalf("%d is in the front, though it was deleted", i)
		}
	}
	g := l.current.Load()
	g.UpdateMaxCost(1_000)
	for i := items; l.Stats().Evicted == 0; i++ { // which one is admitted, and evicts others, is up to ristretto
		l.Set(l.hash(strconv.Itoa(i)), newItem(l, strconv.Itoa(i), 0, 0))
		l.settle(t)
	}
	observe.Until(t, "evictions from the front", func() bool {
		f := l.front.Load()
		for i := range f.slots {
			if it := f.slots[i].Load(); it != nil && g.peek(l.hash(it.Key)) != it {
				return false
			}
		}
		return true
	})
}

// An item that ristretto has evicted can be in the front for a moment. Deleting its key ends it nevertheless.
func TestDeleteOfEvicted(t *testing.T) {
	t.Parallel()
	l, hashes := openRead(t, 1)
	l.current.Load().Del(hashes[0]) // as an eviction of which the front doesn't know yet
	it := l.Get("0", hashes[0], mono.Now(), nil)
	if it == nil {
		t.Fatal("it isn't in the front")
	}
	l.Delete("0", hashes[0])
	if l.Get("0", hashes[0], mono.Now(), nil) != nil {
		t.Error("it is served after Delete")
	}
	if l.buffer.admit(hashes[0], it); l.front.Load().get("0", hashes[0]) != nil {
		t.Error("it is admitted after Delete")
	}
}

// An item isn't admitted when ristretto doesn't have it, or the write buffer has a newer one.
func TestFrontAdmits(t *testing.T) {
	t.Parallel()
	l, hashes := openRead(t, 1)
	old := l.front.Load().get("0", hashes[0])
	l.SetBuffered(hashes[0], newItem(l, "0", 1, 0), mono.Now()) // it stays in the write buffer
	if it := l.Get("0", hashes[0], mono.Now(), nil); it == nil || it.Value != 1 {
		t.Errorf("got %v", it)
	}
	if l.buffer.admit(hashes[0], l.current.Load().peek(hashes[0])); l.front.Load().get("0", hashes[0]) != nil {
		t.Error("an item is admitted while the write buffer has its hash")
	}
	l.Flush()
	l.settle(t)
	if l.buffer.admit(hashes[0], old); l.front.Load().get("0", hashes[0]) != nil {
		t.Error("an item is admitted that was replaced")
	}
}

// The front has at most 10 bytes for each item of a large tier, and room for the items of a small one.
func TestSlots(t *testing.T) {
	for entries, want := range map[int64]int{
		0: 64, 32: 64, 33: 128, 10_000: 1 << 15, 16_384: 1 << 15, 30_000: 1 << 16, 100_000: 1 << 16, 105_000: 1 << 17,
		1_000_000: 1 << 20, 10_000_000: 1 << 23,
	} {
		if n := slotsFor(entries); n != want {
			t.Errorf("%d slots for %d items, want %d", n, entries, want)
		}
	}
}

// Once the tier may have to choose between items, ristretto is told of one in eight hits of the front, also if keys are read in turn.
func TestFrontCountsReads(t *testing.T) {
	t.Parallel()
	few, _ := openGrowing(t, 1<<20, false)
	small, _ := openGrowing(t, 100, false)
	grown, set := openGrowing(t, 4_000, false)
	for i := range 1_001 {
		set(i, 1)
	}
	observe.Until(t, "growth", func() bool { return grown.front.Load().counts })
	if few.front.Load().counts || !small.front.Load().counts {
		t.Error("want reads counted in the small tier, and not in the other")
	}
	const keys, reads = 64, 64_000
	var counted [keys]int
	for n := range uint64(reads) {
		if oneIn(n) {
			counted[n%keys]++
		}
	}
	for _, n := range counted {
		if n < reads/keys/frontOneIn*8/10 || n > reads/keys/frontOneIn*12/10 {
			t.Fatalf("counted reads of each key: %v", counted)
		}
	}
}

// An item in the front isn't served once its validity has ended.
func TestFrontAsksValidity(t *testing.T) {
	t.Parallel()
	l, _ := openRead(t, 0)
	hash, validity := l.hash("k"), coherence.NewValidity(math.MaxInt64)
	r := &record.Record[int]{Value: 1, Meta: new(record.Meta)}
	l.Set(hash, l.NewItem("k", hash, r, coherence.Deps{Validity: validity}, math.MaxInt64))
	l.settle(t)
	for range 2 {
		if l.Get("k", hash, mono.Now(), nil) == nil {
			t.Fatal("it is missing")
		}
	}
	if l.front.Load().get("k", hash) == nil {
		t.Error("it isn't in the front")
	}
	validity.End()
	if l.Get("k", hash, mono.Now(), nil) != nil {
		t.Error("it is served")
	}
}

// A closed tier serves nothing from the front either.
func TestFrontClosed(t *testing.T) {
	t.Parallel()
	l, err := New[int](Options{MaxCost: 100, Retention: new(record.Retention), Hash: func(string) uint64 { return 7 }})
	if err != nil {
		t.Fatal(err)
	}
	it := newItem(l, "k", 0, 0)
	l.Set(7, it)
	l.settle(t)
	l.current.Load().Wait()
	if l.buffer.admit(7, it); l.front.Load().get("k", 7) == nil {
		t.Error("it isn't in the front")
	}
	l.Close()
	if l.buffer.admit(7, it); l.Get("k", 7, 0, nil) != nil {
		t.Error("it is served after Close")
	}
}
