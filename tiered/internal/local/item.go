package local

import (
	"math"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// Item is a record in the local tier: with a small value a cache line, and no more than what tells it from others.
type Item[T any] struct {
	record.Record[T]
	*coherence.Deps // shared once it is set, and not changed then
	Key             string
	// LocalUntil is when the local tier serves it no longer as fresh: at freshUntil or, because of LocalTTL, earlier; or it is dead.
	LocalUntil atomic.Int64
}

// dead is the time of an item that was deleted or replaced: it isn't served, wherever it is still found.
const dead mono.Instant = math.MinInt64

func (it *Item[T]) ServedUntil() mono.Instant { return mono.Instant(it.LocalUntil.Load()) }

func (it *Item[T]) kill() { it.LocalUntil.Store(int64(dead)) }

func (it *Item[T]) Dead() bool { return it.ServedUntil() == dead }

// NewItem makes an item of r that is served as fresh until the given time. Where sets come faster than ristretto takes them in, it
// waits.
func (l *Tier[T]) NewItem(key string, hash uint64, r *record.Record[T], b coherence.Deps, until mono.Instant) *Item[T] {
	l.buffer.waitForRoom(hash)
	it := &Item[T]{Record: *r, Deps: &b, Key: key}
	l.SetMeta(it, *r.Meta, until)
	return it
}

// SetMeta gives a new item its traits.
func (l *Tier[T]) SetMeta(it *Item[T], t record.Meta, until mono.Instant) {
	if t.Expired {
		until = it.Created // its time may be to come, but it is never fresh again
	}
	t.Took, t.Cost = 0, max(1, t.Cost)
	it.Meta = l.interner.shareTraits(&t)
	it.LocalUntil.Store(int64(until))
}

// BindTo gives a new item bonds that won't change before it is set.
func (l *Tier[T]) BindTo(it *Item[T], b coherence.Deps) {
	if it.Deps = l.interner.knownBonds(&b); it.Deps == nil {
		own := b
		it.Deps = &own
	}
}

// StaleCopy returns what the local tier has as a stale item; nil: nothing that could be a fallback.
func (l *Tier[T]) StaleCopy(key string, hash uint64) *Item[T] {
	it := l.Find(key, hash, mono.Now(), nil, Stale|Unverified)
	if it == nil || it.Absent || it.StaleFor(l.retention) == 0 {
		return nil
	}
	return l.StaleCopyOf(it, it.Deps)
}

// Rebound returns a copy of the item with other dependencies.
func (it *Item[T]) Rebound(deps *coherence.Deps) *Item[T] {
	other := &Item[T]{Record: it.Record, Deps: deps, Key: it.Key}
	other.LocalUntil.Store(it.LocalUntil.Load())
	return other
}

// StaleCopyOf returns a copy of the item with other dependencies that is never fresh again.
func (l *Tier[T]) StaleCopyOf(it *Item[T], deps *coherence.Deps) *Item[T] {
	older := &Item[T]{Record: it.Record, Deps: deps, Key: it.Key}
	older.LocalUntil.Store(int64(it.Created)) // never fresh again; 0 may be to come, on a test's clock
	t := *it.Meta
	t.Expired = true
	older.Meta = l.interner.shareTraits(&t)
	return older
}

// AfterExpiry returns a stale copy of an item that nothing but an expiry of its tags, or of everything, has happened to; else the
// item, which may be nil.
func (l *Tier[T]) AfterExpiry(it *Item[T]) *Item[T] {
	if it == nil || it.Dead() {
		return it
	}
	b, ok := it.AfterExpiry()
	if !ok {
		return it
	}
	return l.StaleCopyOf(it, &b)
}
