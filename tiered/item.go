package tiered

import (
	"math"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// item is a record in the local tier: with a small value a cache line, and no more than what tells it from others.
type item[T any] struct {
	record[T]
	*coherence.Deps // shared once it is set, and not changed then
	key             string
	// until is when the local tier serves it no longer as fresh: at freshUntil or, because of LocalTTL, earlier; or it is dead.
	until atomic.Int64
}

// dead is the time of an item that was deleted or replaced: it isn't served, wherever it is still found.
const dead mono.Instant = math.MinInt64

func (it *item[T]) servedUntil() mono.Instant { return mono.Instant(it.until.Load()) }

func (it *item[T]) kill() { it.until.Store(int64(dead)) }

func (it *item[T]) isDead() bool { return it.servedUntil() == dead }

// newItem makes an item of r that is served as fresh until the given time. Where sets come faster than ristretto takes them in, it
// waits.
func (l *local[T]) newItem(key string, hash uint64, r *record[T], b coherence.Deps, until mono.Instant) *item[T] {
	l.nursery.waitForRoom(hash)
	it := &item[T]{record: *r, Deps: &b, key: key}
	l.furnish(it, *r.traits, until)
	return it
}

// furnish gives a new item its traits.
func (l *local[T]) furnish(it *item[T], t traits, until mono.Instant) {
	if t.expired {
		until = it.created // its time may be to come, but it is never fresh again
	}
	t.took, t.cost = 0, max(1, t.cost)
	it.traits = l.commons.shareTraits(&t)
	it.until.Store(int64(until))
}

// tie gives a new item bonds that won't change before it is set.
func (l *local[T]) tie(it *item[T], b coherence.Deps) {
	if it.Deps = l.commons.knownBonds(&b); it.Deps == nil {
		own := b
		it.Deps = &own
	}
}

// expired returns what the local tier has as a stale item; nil: nothing that could be a fallback.
func (l *local[T]) expired(key string, hash uint64) *item[T] {
	it := l.find(key, hash, mono.Now(), nil, asFallback|unproved)
	if it == nil || it.absent || l.keeps(&it.record) == 0 {
		return nil
	}
	return l.staleCopy(it, key, it.Deps)
}

func (l *local[T]) staleCopy(it *item[T], key string, b *coherence.Deps) *item[T] {
	older := &item[T]{record: it.record, Deps: b, key: key}
	older.until.Store(int64(it.created)) // never fresh again; 0 may be to come, on a test's clock
	t := *it.traits
	t.expired = true
	older.traits = l.commons.shareTraits(&t)
	return older
}

// sinceExpiry returns a stale copy of an item that nothing but an expiry of its tags, or of everything, has happened to; else the
// item, which may be nil.
func (l *local[T]) sinceExpiry(it *item[T]) *item[T] {
	if it == nil || it.isDead() {
		return it
	}
	b, ok := it.AfterExpiry()
	if !ok {
		return it
	}
	return l.staleCopy(it, it.key, &b)
}
