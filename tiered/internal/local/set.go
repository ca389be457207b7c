package local

import (
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

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

// Set makes the item what Get returns for its key. The item must be new: it doesn't change afterwards.
func (l *Tier[T]) Set(hash uint64, it *Item[T]) {
	l.SetBuffered(hash, it, mono.Now())
	l.Flush()
}

// SetBuffered is Set without Flush, for one of many items. The item can be read at once. It stays in the write buffer until
// the next Flush. An item that costs more than the whole tier may hold only replaces the older one.
func (l *Tier[T]) SetBuffered(hash uint64, it *Item[T], at mono.Instant) {
	if it.Cost > l.maxCost {
		l.counters.rejected.Add(1)
		l.Delete(it.Key, hash)
		return
	}
	it.Deps = l.interner.deps(it.Deps)
	l.buffer.add(hash, it, at)
}

// Flush starts emptying the write buffer, and doesn't wait for it.
func (l *Tier[T]) Flush() { l.buffer.flush() }

// WaitForRoom waits while items are set faster than ristretto handles them.
func (l *Tier[T]) WaitForRoom(hash uint64) { l.buffer.waitForRoom(hash) }

// Delete makes Get return nothing for the key until the next Set.
func (l *Tier[T]) Delete(key string, hash uint64) { l.buffer.delete(key, hash) }

// Expire makes the key's item stale, if it may then be of use as a fallback, and deletes it otherwise.
func (l *Tier[T]) Expire(key string, hash uint64) {
	it := l.find(key, hash, mono.Now(), nil, acceptStale|acceptUnverified)
	if it == nil || it.StaleFor(l.retention) == 0 {
		l.Delete(key, hash)
		return
	}
	l.Set(hash, l.StaleCopy(it, it.Deps))
}
