package local

import (
	"math"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Item is a record in the local tier. With a small value it takes one cache line: what many items have in common is behind
// the pointers to Meta and Deps, which they share.
type Item[T any] struct {
	record.Record[T]
	*coherence.Deps
	Key   string
	until atomic.Int64 // LocalUntil
}

// deleted is the LocalUntil of an item that was deleted or replaced. It isn't served, wherever it is still found.
const deleted mono.Instant = math.MinInt64

// LocalUntil returns when the tier stops serving the item as fresh: at FreshUntil or, with a LocalTTL, before that.
func (it *Item[T]) LocalUntil() mono.Instant { return mono.Instant(it.until.Load()) }

func (it *Item[T]) markDeleted() { it.until.Store(int64(deleted)) }

// Deleted reports whether the item was deleted or replaced in the tier.
func (it *Item[T]) Deleted() bool { return it.LocalUntil() == deleted }

// NeedsRefresh reports whether a load in the background is to replace the item, which is served.
func (it *Item[T]) NeedsRefresh(w *wire.Windows, at mono.Instant) bool {
	return (w.RefreshAfter > 0 || it.Windows != nil || at >= it.LocalUntil()) && it.Use(w, at) < record.Good
}

// NewItem returns an item with a copy of the record, that is served as fresh until the instant. It waits for room, as
// WaitForRoom does.
func (l *Tier[T]) NewItem(key string, hash uint64, r *record.Record[T], deps coherence.Deps, until mono.Instant) *Item[T] {
	l.buffer.waitForRoom(hash)
	it := &Item[T]{Record: *r, Deps: &deps, Key: key}
	l.SetMeta(it, *r.Meta, until)
	return it
}

// SetMeta gives a new item its Meta and its LocalUntil. The item must have its other instants already.
func (l *Tier[T]) SetMeta(it *Item[T], m record.Meta, until mono.Instant) {
	if m.Expired {
		until = it.Created // which is over, though the TTL may not be
	}
	m.Took, m.Cost = 0, max(1, m.Cost)
	it.Meta = l.interner.meta(&m)
	it.until.Store(int64(until))
}

// SetDeps gives a new item dependencies that won't change until it is set. It keeps a copy.
func (l *Tier[T]) SetDeps(it *Item[T], deps coherence.Deps) {
	if it.Deps = l.interner.sameDeps(&deps); it.Deps == nil {
		own := deps // allocated only here
		it.Deps = &own
	}
}

// WithDeps returns a copy of the item with other dependencies.
func (it *Item[T]) WithDeps(deps *coherence.Deps) *Item[T] {
	other := &Item[T]{Record: it.Record, Deps: deps, Key: it.Key}
	other.until.Store(it.until.Load())
	return other
}

// StaleCopy returns a copy of the item with the dependencies that is stale for good.
func (l *Tier[T]) StaleCopy(it *Item[T], deps *coherence.Deps) *Item[T] {
	stale := &Item[T]{Record: it.Record, Deps: deps, Key: it.Key}
	stale.until.Store(int64(it.Created)) // not 0, which may be in the future of a test's clock
	m := *it.Meta
	m.Expired = true
	stale.Meta = l.interner.meta(&m)
	return stale
}

// AfterExpiry returns a stale copy of an item whose tags, or whose whole cache, were expired, if nothing has invalidated
// them. Otherwise it returns the item itself, which may be nil.
func (l *Tier[T]) AfterExpiry(it *Item[T]) *Item[T] {
	if it == nil || it.Deleted() {
		return it
	}
	deps, ok := it.AfterExpiry()
	if !ok {
		return it
	}
	return l.StaleCopy(it, &deps)
}
