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

// WithDeps returns a copy of the item with other dependencies.
func (it *Item[T]) WithDeps(deps *coherence.Deps) *Item[T] {
	other := &Item[T]{Record: it.Record, Deps: deps, Key: it.Key}
	other.until.Store(it.until.Load())
	return other
}

// usableUntil returns when the item stops being of any use, even as a fallback.
func (it *Item[T]) usableUntil(retention *record.Retention) mono.Instant {
	until := it.LocalUntil()
	if staleFor := it.StaleFor(retention); staleFor > 0 && until != deleted {
		return max(until, it.FreshUntil.Add(staleFor))
	}
	return until
}
