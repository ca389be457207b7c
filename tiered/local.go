package tiered

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// local is the first tier: ristretto, made exact. What ristretto leaves open, and what closes it here:
//
//   - A new key is only queued, and of two Sets on an absent key the first wins for good. So an item is also kept in
//     the nursery until ristretto has surely handled it.
//   - Del doesn't reach a Set that is still queued. So an item carries a dead mark, which every reader checks.
//   - A key is kept by its hash alone. So an item carries its key.
//   - A Get or Set during Close is a data race. So Gets are counted in and out, Sets hold a nursery lock, and close
//     waits for both.
type local[T any] struct {
	cache   *ristretto.Cache[uint64, *item[T]]
	costed  bool // items may differ in cost
	hash    func(key string) uint64
	strict  bool         // never serve what isn't proved
	keep    atomic.Int64 // for how long past its TTL a value may be of use, by the windows of any view
	renewed atomic.Bool  // by the windows of any view, values may be loaded while they are there
	closed  atomic.Bool
	_       [35]byte      // what every Get reads is not on a line with what Sets write
	settled atomic.Uint64 // how often the nursery let items go: one that a Get saw in neither place may have moved
	_       [56]byte

	gets    [readStripes]getCount
	commons commons
	nursery nursery[T]
	sweeper sweeper[T]

	entries  atomic.Int64
	evicted  atomic.Uint64
	rejected atomic.Uint64
	dropped  atomic.Uint64

	bypassed, unverified atomic.Uint64
}

const readStripes = 64

// getCount counts Gets as they begin and as they end, so that their difference is how many are under way.
type getCount struct {
	begun, hits, misses atomic.Uint64
	puts                atomic.Uint64 // items: what came before it was counted is found by a Get
	_                   [32]byte      // a cache line each
}

func (l *local[T]) counts(hash uint64) *getCount { return &l.gets[hash>>58] }

// sought is a key that was looked up in the local tier, and isn't there.
type sought struct {
	key  string
	hash uint64
	at   mono.Instant
	puts uint64 // as they were before; or looksAgain
}

// looksAgain: the local tier has something that may yet be of use.
const looksAgain = math.MaxUint64

// still answers whether the local tier has nothing for the key as it had not then.
func (l *local[T]) still(s sought) bool { return l.counts(s.hash).puts.Load() == s.puts }

// countersFor is the number of access counters, which ristretto admits by. They forget half of what they know whenever
// they have counted as many reads as there are counters: a small cache needs many an entry to learn what is asked for
// often. With a cost function the number of entries isn't known.
func countersFor(maxCost int64, costed bool) int64 {
	const (
		least, most = 1_000, 13_900_000 // most take 48 MB
		small, aim  = 40, 1_700_000     // so many an entry of a small cache, up to 6 MB
		large       = 8                 // and so many of a large one
	)
	if costed {
		return countersLike(min(max(maxCost, least), 1_000_000))
	}
	entries := min(maxCost, most)
	return countersLike(min(max(min(small*entries, aim), large*entries, least), most))
}

// countersLike is the largest number of counters that takes no more memory than n: ristretto has four rows of half a byte
// each and, for one error in a hundred, 9.6 bits of a Bloom filter. It makes both of them a power of two.
func countersLike(n int64) int64 {
	const bloomBits = 9.6
	row, bloom := int64(1), 1.0
	for row < n {
		row *= 2
	}
	for bloom < bloomBits*float64(n) {
		bloom *= 2
	}
	return min(row, int64(bloom/bloomBits))
}

// bufferFor is how many reads a processor gathers before they are counted. ristretto forgets them where they come faster than
// its goroutine counts; that happens less with fewer and longer batches. But a small cache can't wait for long ones.
func bufferFor(maxCost int64) int64 { return min(max(maxCost/16, 64), 512) }

func newLocal[T any](maxCost int64, costed bool, hash func(key string) uint64) (*local[T], error) {
	l := &local[T]{costed: costed, hash: hash}
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *item[T]]{
		NumCounters:        countersFor(maxCost, costed),
		MaxCost:            maxCost,
		BufferItems:        bufferFor(maxCost),
		IgnoreInternalCost: true,
		OnEvict: func(i *ristretto.Item[*item[T]]) {
			if i.Value != nil && mono.Now() < l.over(i.Value) && !l.closed.Load() {
				l.evicted.Add(1)
			}
		},
		OnReject: func(*ristretto.Item[*item[T]]) { l.rejected.Add(1) },
		OnExit: func(it *item[T]) {
			if it != nil {
				l.entries.Add(-1)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("tiered: local tier: %w", err)
	}
	l.cache = cache
	l.nursery.start(l)
	l.sweeper.start(l)
	return l, nil
}

// terms are what a reader is content with, beside what is fresh and proved to be current, or all that there is because
// Redis is silent.
type terms uint8

const (
	unproved   terms = 1 << iota // Redis can't be asked: what nothing is known against
	asFallback                   // whatever may be served if a load fails
)

// get returns the item that is served for the key at the given time, or nil. With windows, that may be an outdated one.
func (l *local[T]) get(key string, hash uint64, at mono.Instant, w *wire.Windows) *item[T] {
	return l.find(key, hash, at, w, 0)
}

// fallback returns the item that is served when Redis can't be read.
func (l *local[T]) fallback(key string, hash uint64, w *wire.Windows, t terms) *item[T] {
	if l.strict {
		return nil
	}
	return l.find(key, hash, mono.Now(), w, t|unproved)
}

func (l *local[T]) find(key string, hash uint64, at mono.Instant, w *wire.Windows, t terms) *item[T] {
	it, _ := l.look(key, hash, at, w, t)
	return it
}

// look returns the item that is served on the terms, and the puts of a sought key that has none.
func (l *local[T]) look(key string, hash uint64, at mono.Instant, w *wire.Windows, t terms) (it *item[T], puts uint64) {
	count := l.counts(hash)
	count.begun.Add(1)
	puts = count.puts.Load()
	if l.closed.Load() {
		count.misses.Add(1)
		return nil, looksAgain
	}
	settled := l.settled.Load()
	if t == 0 {
		it, _ = l.cache.Get(hash)
	} else {
		it = l.sinceExpiry(l.peek(hash))
	}
	if it == nil || !l.serves(it, key, at, w, t) {
		if l.isOfUse(it, at) {
			puts = looksAgain
		}
		it = l.nursery.get(hash)
		if it == nil && l.settled.Load() != settled {
			it = l.peek(hash) // it went from the nursery to ristretto meanwhile
		}
		if t != 0 {
			it = l.sinceExpiry(it)
		}
		if it == nil || !l.serves(it, key, at, w, t) {
			count.misses.Add(1)
			if l.isOfUse(it, at) {
				puts = looksAgain
			}
			return nil, puts
		}
	}
	if t&asFallback != 0 {
		count.misses.Add(1) // it is only kept ready
	} else {
		count.hits.Add(1)
	}
	return it, puts
}

func (l *local[T]) isOfUse(it *item[T], at mono.Instant) bool {
	return it != nil && !it.isDead() && at < l.over(it)
}

// peek returns what ristretto has. What it hasn't isn't counted as asked for, which a Get would do: each miss looks more
// than once, and what is asked for once would seem to be asked for often.
func (l *local[T]) peek(hash uint64) *item[T] {
	if _, there := l.cache.GetTTL(hash); !there {
		return nil
	}
	it, _ := l.cache.Get(hash)
	return it
}

// serves is the one place that says whether an item is served.
func (l *local[T]) serves(it *item[T], key string, at mono.Instant, w *wire.Windows, t terms) bool {
	switch {
	case it.key != key || at >= it.servedUntil() && !l.lasts(it, at, w, t):
		return false
	case it.Valid(at):
		return true
	case !it.Intact():
		return false
	}
	served := t&unproved != 0 || !l.strict && it.Feed != nil && it.Feed.Unreachable.Load()
	switch {
	case t&asFallback != 0: // served later, if at all
	case served:
		l.unverified.Add(1)
	default:
		l.bypassed.Add(1)
	}
	return served
}

// lasts answers whether the item is served though its time in the local tier is over. If that is only so because of
// LocalTTL, Redis is to be asked first.
func (l *local[T]) lasts(it *item[T], at mono.Instant, w *wire.Windows, t terms) bool {
	switch {
	case it.isDead() || at >= l.over(it):
		return false
	case t&asFallback != 0:
		return true
	}
	return w != nil && it.stale(at) && it.use(w, at) == outdated
}

// renews answers whether a load in the background is to replace the item, which is served.
func (it *item[T]) renews(w *wire.Windows, at mono.Instant) bool {
	return (w.RefreshAfter > 0 || it.windows != nil || at >= it.servedUntil()) && it.use(w, at) < good
}

// stays is for how long Redis keeps the record: for as long as it is of use, and then for a lease's time if there may be one
// beside it.
func (l *local[T]) stays(r *record[T]) time.Duration {
	until := r.freshUntil.Add(l.keeps(r))
	if l.renewed.Load() || r.windows != nil {
		until = until.Add(wire.MaxLease)
	}
	return until.Since(r.created)
}

// longest is the longest that Redis keeps what is set with the TTL.
func (l *local[T]) longest(ttl time.Duration) time.Duration {
	return mono.Sum(mono.Sum(ttl, time.Duration(l.keep.Load())), wire.MaxLease)
}

// over is when the item is of no use any more.
func (l *local[T]) over(it *item[T]) mono.Instant {
	until := it.servedUntil()
	if keep := l.keeps(&it.record); keep > 0 && until != dead {
		return max(until, it.freshUntil.Add(keep))
	}
	return until
}

// keeps is for how long past its TTL the record is of use, in both tiers.
func (l *local[T]) keeps(r *record[T]) time.Duration {
	switch {
	case r.absent:
		return 0
	case r.windows != nil:
		return r.windows.Keep()
	}
	return time.Duration(l.keep.Load())
}

// retain has values kept for as long as the windows say.
func (l *local[T]) retain(w *wire.Windows) {
	if *w != (wire.Windows{}) {
		l.renewed.Store(true)
	}
	keep := int64(w.Keep())
	for {
		current := l.keep.Load()
		if current >= keep || l.keep.CompareAndSwap(current, keep) {
			return
		}
	}
}

// set makes it what get returns for its key.
func (l *local[T]) set(hash uint64, it *item[T]) {
	l.place(hash, it, mono.Now())
	l.nursery.ring()
}

// place is set for one of many items, after which the nursery is rung.
func (l *local[T]) place(hash uint64, it *item[T], at mono.Instant) {
	it.Deps = l.commons.shareBonds(it.Deps)
	l.nursery.add(hash, it, at)
	l.counts(hash).puts.Add(1)
}

// delete makes get return nothing for the key until the next set.
func (l *local[T]) delete(key string, hash uint64) { l.nursery.remove(key, hash) }

// admit hands an item to ristretto; false: its queue is full.
func (l *local[T]) admit(hash uint64, it *item[T], at mono.Instant) bool {
	if at >= l.over(it) {
		l.cache.Del(hash) // nobody would be served it, nor may they be served what it replaces
		return true
	}
	if l.costed {
		// Replacing an item in place, ristretto neither makes room for what it costs more nor refuses it.
		if older := l.peek(hash); older != nil && older.cost < it.cost {
			l.cache.Del(hash)
		}
	}
	l.entries.Add(1)
	if l.cache.Set(hash, it, it.cost) {
		return true
	}
	l.entries.Add(-1)
	return false
}

// kill marks what ristretto holds under the key as dead, and takes it out.
func (l *local[T]) kill(key string, hash uint64) {
	if it := l.peek(hash); it != nil && it.key == key {
		it.kill()
		l.cache.Del(hash)
	}
}

// close ends the tier's goroutines: later gets find nothing, later sets do nothing.
func (l *local[T]) close() {
	l.closed.Store(true)
	l.sweeper.close()
	l.nursery.close()
	for i := range l.gets {
		// What has ended is read first: it never is more than what began, so that equal means none was under way.
		for c := &l.gets[i]; c.hits.Load()+c.misses.Load() != c.begun.Load(); {
			runtime.Gosched()
		}
	}
	l.cache.Close()
}

func (l *local[T]) hits() (n uint64) {
	for i := range l.gets {
		n += l.gets[i].hits.Load()
	}
	return n
}

// used is the cost of what the tier holds now.
func (l *local[T]) used() int64 {
	if l.closed.Load() {
		return 0
	}
	return l.cache.MaxCost() - l.cache.RemainingCost()
}
