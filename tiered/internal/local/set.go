package local

import "github.com/tiercache/tiercache/tiered/internal/mono"

// Set makes the item what Get returns for its key. The item must be new: it doesn't change afterwards.
func (l *Tier[T]) Set(hash uint64, it *Item[T]) {
	l.SetBuffered(hash, it, mono.Now())
	l.Flush()
}

// SetBuffered is Set without Flush, for one of many items. The item can be read at once. It stays in the write buffer until
// the next Flush.
func (l *Tier[T]) SetBuffered(hash uint64, it *Item[T], at mono.Instant) {
	it.Deps = l.interner.deps(it.Deps)
	l.buffer.add(hash, it, at)
	l.stripe(hash).sets.Add(1)
}

// Flush starts emptying the write buffer, and doesn't wait for it.
func (l *Tier[T]) Flush() { l.buffer.flush() }

// WaitForRoom waits while items are set faster than ristretto handles them.
func (l *Tier[T]) WaitForRoom(hash uint64) { l.buffer.waitForRoom(hash) }

// Delete makes Get return nothing for the key until the next Set.
func (l *Tier[T]) Delete(key string, hash uint64) { l.buffer.delete(key, hash) }

// Expire makes the key's item stale, if it may then be of use as a fallback, and deletes it otherwise.
func (l *Tier[T]) Expire(key string, hash uint64) {
	it, _ := l.find(key, hash, mono.Now(), nil, acceptStale|acceptUnverified)
	if it == nil || it.StaleFor(l.retention) == 0 {
		l.Delete(key, hash)
		return
	}
	l.Set(hash, l.StaleCopy(it, it.Deps))
}

// handOver gives the item to ristretto. It reports false if ristretto's queue is full.
func (l *Tier[T]) handOver(hash uint64, it *Item[T], at mono.Instant) bool {
	if at >= l.usableUntil(it) {
		l.cache.Del(hash) // the item is of no use, and what it replaces must not be served either
		return true
	}
	if l.costed {
		// Replacing an item in place, ristretto neither makes room for a higher cost nor rejects it.
		if older := l.peek(hash); older != nil && older.Cost < it.Cost {
			l.cache.Del(hash)
		}
	}
	l.counters.entries.Add(1)
	if l.cache.Set(hash, it, it.Cost) {
		return true
	}
	l.counters.entries.Add(-1)
	return false
}
