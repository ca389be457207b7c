package local

import "sync/atomic"

// front finds items without ristretto, whose Get takes a lock and records each read. It is a table of pointers to items, in which each
// hash has two places. A reader that doesn't find its item there asks ristretto.
//
// Two rules make it exact. An item gets in only under the lock of its hash's part of the write buffer, if ristretto has it and the
// buffer has nothing newer. A Set or a Delete of its key takes it out under the same lock, also if ristretto has just evicted it. So
// a read that begins after a Set or a Delete doesn't find the item from before. What ristretto evicts is taken out to free its memory.
type front[T any] struct {
	slots  []atomic.Pointer[Item[T]] // a power of two
	counts bool                      // ristretto is told of some of the hits: the tier may have to choose between items
}

const (
	frontLeast    = 64
	frontGenerous = 1 << 16 // up to this size it has two places for each item; above it about one, which is 8 bytes
	frontOneIn    = 8       // of the reads that ristretto counts: an item gets in, and of the hits here: ristretto is told
)

// slotsFor returns the size of the front of a tier with so many items.
func slotsFor(entries int64) int {
	n := frontLeast
	for int64(n) < 2*entries && n < frontGenerous || int64(2*n) <= entries+entries/4 {
		n *= 2
	}
	return n
}

func newFront[T any](slots int, counts bool) *front[T] {
	return &front[T]{make([]atomic.Pointer[Item[T]], slots), counts}
}

// places returns both places of the hash. They are neighbours in one cache line.
func (f *front[T]) places(hash uint64) (a, b *atomic.Pointer[Item[T]]) {
	i := hash & uint64(len(f.slots)-1)
	return &f.slots[i], &f.slots[i^1]
}

func (f *front[T]) get(key string, hash uint64) *Item[T] {
	a, b := f.places(hash)
	if it := a.Load(); it != nil && it.Key == key {
		return it
	}
	if it := b.Load(); it != nil && it.Key == key {
		return it
	}
	return nil
}

// hasRoom reports whether a place of the hash is free.
func (f *front[T]) hasRoom(hash uint64) bool {
	a, b := f.places(hash)
	return a.Load() == nil || b.Load() == nil
}

// put puts the item into a free place of its hash, or else into the first.
func (f *front[T]) put(hash uint64, it *Item[T]) {
	a, b := f.places(hash)
	if !a.CompareAndSwap(nil, it) && !b.CompareAndSwap(nil, it) {
		a.Store(it)
	}
}

// remove takes the item out.
func (f *front[T]) remove(hash uint64, it *Item[T]) {
	a, b := f.places(hash)
	a.CompareAndSwap(it, nil)
	b.CompareAndSwap(it, nil)
}

// removeKey takes the key's item out. The caller holds the lock of the hash.
func (f *front[T]) removeKey(key string, hash uint64) {
	if it := f.get(key, hash); it != nil {
		f.remove(hash, it)
	}
}

// oneIn reports whether this is one of the hits that do more, which are picked by their number, and not at regular intervals.
func oneIn(hit uint64) bool { return hit*0x9E3779B97F4A7C15>>32%frontOneIn == 0 }
