package local

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Tier is the first tier: ristretto, made exact. What ristretto leaves open, and what closes it here:
//
//   - A new key is only queued, and of two Sets on an absent key the first wins for good. So an item is also kept in
//     the nursery until ristretto has surely handled it.
//   - Del doesn't reach a Set that is still queued. So an item carries a dead mark, which every reader checks.
//   - A key is kept by its hash alone. So an item carries its key.
//   - A Get or Set during Close is a data race. So Gets are counted in and out, Sets hold a nursery lock, and close
//     waits for both.
type Tier[T any] struct {
	cache     *ristretto.Cache[uint64, *Item[T]]
	costed    bool // items may differ in cost
	hash      func(key string) uint64
	strict    bool // never serve what isn't proved
	retention *record.Retention
	closed    atomic.Bool
	_         [40]byte      // what every Get reads is not on a line with what Sets write
	settled   atomic.Uint64 // how often the nursery let items go: one that a Get saw in neither place may have moved
	_         [56]byte

	stripes  [stripes]stripe
	interner interner
	buffer   writeBuffer[T]
	sweeper  sweeper[T]

	Entries  atomic.Int64
	Evicted  atomic.Uint64
	Rejected atomic.Uint64
	Dropped  atomic.Uint64

	Bypassed, Unverified atomic.Uint64
}

const stripes = 64

// stripe counts Gets as they begin and as they end, so that their difference is how many are under way.
type stripe struct {
	begun, hits, misses atomic.Uint64
	puts                atomic.Uint64 // items: what came before it was counted is found by a Get
	_                   [32]byte      // a cache line each
}

func (l *Tier[T]) counts(hash uint64) *stripe { return &l.stripes[hash>>58] }

// Miss is a key that was looked up in the local tier, and isn't there.
type Miss struct {
	Key  string
	Hash uint64
	At   mono.Instant
	Puts uint64 // as they were before; or looksAgain
}

// looksAgain: the local tier has something that may yet be of use.
const LookAgain = math.MaxUint64

// StillMissing answers whether the local tier has nothing for the key as it had not then.
func (l *Tier[T]) StillMissing(s Miss) bool { return l.counts(s.Hash).puts.Load() == s.Puts }

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

// Options configure a Tier.
type Options struct {
	MaxCost   int64             // what the items in the tier may cost together
	Costed    bool              // items may differ in cost; otherwise each costs 1
	Strict    bool              // never serve what isn't proved to be current
	Retention *record.Retention // says how long stale items are kept
	Hash      func(key string) uint64
}

// New returns an empty tier, which must be closed.
func New[T any](o Options) (*Tier[T], error) {
	l := &Tier[T]{costed: o.Costed, strict: o.Strict, retention: o.Retention, hash: o.Hash}
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *Item[T]]{
		NumCounters:        countersFor(o.MaxCost, o.Costed),
		MaxCost:            o.MaxCost,
		BufferItems:        bufferFor(o.MaxCost),
		IgnoreInternalCost: true,
		OnEvict: func(i *ristretto.Item[*Item[T]]) {
			if i.Value != nil && mono.Now() < l.Over(i.Value) && !l.closed.Load() {
				l.Evicted.Add(1)
			}
		},
		OnReject: func(*ristretto.Item[*Item[T]]) { l.Rejected.Add(1) },
		OnExit: func(it *Item[T]) {
			if it != nil {
				l.Entries.Add(-1)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("tiered: local tier: %w", err)
	}
	l.cache = cache
	l.buffer.start(l)
	l.sweeper.start(l)
	return l, nil
}

// Accept are what a reader is content with, beside what is fresh and proved to be current, or all that there is because
// Redis is silent.
type Accept uint8

const (
	Unverified Accept = 1 << iota // Redis can't be asked: what nothing is known against
	Stale                         // whatever may be served if a load fails
)

// Get returns the item that is served for the key at the given time, or nil. With windows, that may be an outdated one.
func (l *Tier[T]) Get(key string, hash uint64, at mono.Instant, w *wire.Windows) *Item[T] {
	return l.Find(key, hash, at, w, 0)
}

// Fallback returns the item that is served when Redis can't be read.
func (l *Tier[T]) Fallback(key string, hash uint64, w *wire.Windows, t Accept) *Item[T] {
	if l.strict {
		return nil
	}
	return l.Find(key, hash, mono.Now(), w, t|Unverified)
}

func (l *Tier[T]) Find(key string, hash uint64, at mono.Instant, w *wire.Windows, t Accept) *Item[T] {
	it, _ := l.Look(key, hash, at, w, t)
	return it
}

// Look returns the item that is served on the terms, and the puts of a sought key that has none.
func (l *Tier[T]) Look(key string, hash uint64, at mono.Instant, w *wire.Windows, t Accept) (it *Item[T], puts uint64) {
	count := l.counts(hash)
	count.begun.Add(1)
	puts = count.puts.Load()
	if l.closed.Load() {
		count.misses.Add(1)
		return nil, LookAgain
	}
	settled := l.settled.Load()
	if t == 0 {
		it, _ = l.cache.Get(hash)
	} else {
		it = l.AfterExpiry(l.peek(hash))
	}
	if it == nil || !l.serves(it, key, at, w, t) {
		if l.isOfUse(it, at) {
			puts = LookAgain
		}
		it = l.buffer.get(hash)
		if it == nil && l.settled.Load() != settled {
			it = l.peek(hash) // it went from the nursery to ristretto meanwhile
		}
		if t != 0 {
			it = l.AfterExpiry(it)
		}
		if it == nil || !l.serves(it, key, at, w, t) {
			count.misses.Add(1)
			if l.isOfUse(it, at) {
				puts = LookAgain
			}
			return nil, puts
		}
	}
	if t&Stale != 0 {
		count.misses.Add(1) // it is only kept ready
	} else {
		count.hits.Add(1)
	}
	return it, puts
}

func (l *Tier[T]) isOfUse(it *Item[T], at mono.Instant) bool {
	return it != nil && !it.Dead() && at < l.Over(it)
}

// peek returns what ristretto has. What it hasn't isn't counted as asked for, which a Get would do: each miss looks more
// than once, and what is asked for once would seem to be asked for often.
func (l *Tier[T]) peek(hash uint64) *Item[T] {
	if _, there := l.cache.GetTTL(hash); !there {
		return nil
	}
	it, _ := l.cache.Get(hash)
	return it
}

// serves is the one place that says whether an item is served.
func (l *Tier[T]) serves(it *Item[T], key string, at mono.Instant, w *wire.Windows, t Accept) bool {
	switch {
	case it.Key != key || at >= it.ServedUntil() && !l.Lasts(it, at, w, t):
		return false
	case it.Valid(at):
		return true
	case !it.Intact():
		return false
	}
	served := t&Unverified != 0 || !l.strict && it.Feed != nil && it.Feed.Unreachable.Load()
	switch {
	case t&Stale != 0: // served later, if at all
	case served:
		l.Unverified.Add(1)
	default:
		l.Bypassed.Add(1)
	}
	return served
}

// Lasts answers whether the item is served though its time in the local tier is over. If that is only so because of
// LocalTTL, Redis is to be asked first.
func (l *Tier[T]) Lasts(it *Item[T], at mono.Instant, w *wire.Windows, t Accept) bool {
	switch {
	case it.Dead() || at >= l.Over(it):
		return false
	case t&Stale != 0:
		return true
	}
	return w != nil && it.Stale(at) && it.Use(w, at) == record.WhileRevalidate
}

// NeedsRefresh answers whether a load in the background is to replace the item, which is served.
func (it *Item[T]) NeedsRefresh(w *wire.Windows, at mono.Instant) bool {
	return (w.RefreshAfter > 0 || it.Windows != nil || at >= it.ServedUntil()) && it.Use(w, at) < record.Good
}

// Over is when the item is of no use any more.
func (l *Tier[T]) Over(it *Item[T]) mono.Instant {
	until := it.ServedUntil()
	if keep := it.StaleFor(l.retention); keep > 0 && until != dead {
		return max(until, it.FreshUntil.Add(keep))
	}
	return until
}

// Strict reports whether only what is proved to be current is served.
func (l *Tier[T]) Strict() bool { return l.strict }

// Set makes it what get returns for its key.
func (l *Tier[T]) Set(hash uint64, it *Item[T]) {
	l.Place(hash, it, mono.Now())
	l.buffer.ring()
}

// Place is set for one of many items, after which the nursery is rung.
func (l *Tier[T]) Place(hash uint64, it *Item[T], at mono.Instant) {
	it.Deps = l.interner.shareBonds(it.Deps)
	l.buffer.add(hash, it, at)
	l.counts(hash).puts.Add(1)
}

// Flush has what was placed handed over. It is for whoever has placed items.
func (l *Tier[T]) Flush() { l.buffer.ring() }

// WaitForRoom waits where items come faster than ristretto takes them in.
func (l *Tier[T]) WaitForRoom(hash uint64) { l.buffer.waitForRoom(hash) }

// Delete makes get return nothing for the key until the next set.
func (l *Tier[T]) Delete(key string, hash uint64) { l.buffer.remove(key, hash) }

// admit hands an item to ristretto; false: its queue is full.
func (l *Tier[T]) admit(hash uint64, it *Item[T], at mono.Instant) bool {
	if at >= l.Over(it) {
		l.cache.Del(hash) // nobody would be served it, nor may they be served what it replaces
		return true
	}
	if l.costed {
		// Replacing an item in place, ristretto neither makes room for what it costs more nor refuses it.
		if older := l.peek(hash); older != nil && older.Cost < it.Cost {
			l.cache.Del(hash)
		}
	}
	l.Entries.Add(1)
	if l.cache.Set(hash, it, it.Cost) {
		return true
	}
	l.Entries.Add(-1)
	return false
}

// kill marks what ristretto holds under the key as dead, and takes it out.
func (l *Tier[T]) kill(key string, hash uint64) {
	if it := l.peek(hash); it != nil && it.Key == key {
		it.kill()
		l.cache.Del(hash)
	}
}

// Close ends the tier's goroutines: later gets find nothing, later sets do nothing.
func (l *Tier[T]) Close() {
	l.closed.Store(true)
	l.sweeper.close()
	l.buffer.close()
	for i := range l.stripes {
		// What has ended is read first: it never is more than what began, so that equal means none was under way.
		for c := &l.stripes[i]; c.hits.Load()+c.misses.Load() != c.begun.Load(); {
			runtime.Gosched()
		}
	}
	l.cache.Close()
}

func (l *Tier[T]) Hits() (n uint64) {
	for i := range l.stripes {
		n += l.stripes[i].hits.Load()
	}
	return n
}

// Used is the cost of what the tier holds now.
func (l *Tier[T]) Used() int64 {
	if l.closed.Load() {
		return 0
	}
	return l.cache.MaxCost() - l.cache.RemainingCost()
}
