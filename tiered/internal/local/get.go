package local

import (
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// accept says which items a reader takes, besides those that are in time and whose validity holds.
type accept uint8

const (
	acceptUnverified accept = 1 << iota // also if the validity has run out, as long as no invalidation is known
	acceptStale                         // also if only a failed load lets it be served
)

// Get returns the item that is served for the key at the instant, or nil. With windows, it may be a stale one that they let
// be served. If there is none, the number of Sets makes a [Miss]. An item whose validity has run out is served only while
// its server doesn't answer, and never if the tier is strict.
func (l *Tier[T]) Get(key string, hash uint64, at mono.Instant, w *wire.Windows) (it *Item[T], sets uint64) {
	return l.find(key, hash, at, w, 0)
}

// GetStale returns the item that may be served at the instant, or later if a load fails: fresh, or stale under the windows of
// any view. It doesn't count as a hit.
func (l *Tier[T]) GetStale(key string, hash uint64, at mono.Instant) *Item[T] {
	it, _ := l.find(key, hash, at, nil, acceptStale)
	return it
}

// GetUnverified returns the item that is served now since Redis can't be read: its validity may have run out. It returns nil
// if the tier is strict.
func (l *Tier[T]) GetUnverified(key string, hash uint64, w *wire.Windows) *Item[T] {
	if l.strict {
		return nil
	}
	it, _ := l.find(key, hash, mono.Now(), w, acceptUnverified)
	return it
}

// GetUnverifiedStale is GetUnverified of an item that may also be stale, as with GetStale.
func (l *Tier[T]) GetUnverifiedStale(key string, hash uint64) *Item[T] {
	if l.strict {
		return nil
	}
	it, _ := l.find(key, hash, mono.Now(), nil, acceptUnverified|acceptStale)
	return it
}

func (l *Tier[T]) find(key string, hash uint64, at mono.Instant, w *wire.Windows, a accept) (it *Item[T], sets uint64) {
	s := l.stripe(hash)
	s.begun.Add(1)
	sets = s.sets.Load()
	if l.closed.Load() {
		s.misses.Add(1)
		return nil, Unknown
	}
	handled := l.handled.Load()
	if a == 0 {
		it, _ = l.cache.Get(hash)
	} else {
		it = l.AfterExpiry(l.peek(hash))
	}
	if it == nil || !l.serves(it, key, at, w, a) {
		if l.isOfUse(it, at) {
			sets = Unknown
		}
		it = l.buffer.get(hash)
		if it == nil && l.handled.Load() != handled {
			it = l.peek(hash) // it went from the write buffer to ristretto in between
		}
		if a != 0 {
			it = l.AfterExpiry(it)
		}
		if it == nil || !l.serves(it, key, at, w, a) {
			s.misses.Add(1)
			if l.isOfUse(it, at) {
				sets = Unknown
			}
			return nil, sets
		}
	}
	if a&acceptStale != 0 {
		s.misses.Add(1) // the caller keeps it as a fallback
	} else {
		s.hits.Add(1)
	}
	return it, sets
}

// isOfUse reports whether the item may be served under other terms: to another view, once it is valid again, or stale.
func (l *Tier[T]) isOfUse(it *Item[T], at mono.Instant) bool {
	return it != nil && !it.Deleted() && at < l.usableUntil(it)
}

// peek returns what ristretto has for the hash. If it has nothing that isn't counted as a read of the hash, which a Get would
// do. Each miss looks more than once, so a hash that was read once would count as one that is read often.
func (l *Tier[T]) peek(hash uint64) *Item[T] {
	if _, there := l.cache.GetTTL(hash); !there {
		return nil
	}
	it, _ := l.cache.Get(hash)
	return it
}

// serves reports whether the item is served for the key. It is the only place that decides this.
func (l *Tier[T]) serves(it *Item[T], key string, at mono.Instant, w *wire.Windows, a accept) bool {
	switch {
	case it.Key != key || at >= it.LocalUntil() && !l.servesStale(it, at, w, a):
		return false
	case it.Valid(at):
		return true
	case !it.Intact():
		return false
	}
	served := a&acceptUnverified != 0 || !l.strict && it.Feed != nil && it.Feed.Unreachable.Load()
	switch {
	case a&acceptStale != 0: // the caller counts it if it serves it
	case served:
		l.counters.unverified.Add(1)
	default:
		l.counters.bypassed.Add(1)
	}
	return served
}

// servesStale reports whether an item whose local end has come is served. If it is still fresh, its LocalTTL is over: then
// Redis has to be read first, and the item is only a fallback.
func (l *Tier[T]) servesStale(it *Item[T], at mono.Instant, w *wire.Windows, a accept) bool {
	switch {
	case it.Deleted() || at >= l.usableUntil(it):
		return false
	case a&acceptStale != 0:
		return true
	}
	return w != nil && it.Stale(at) && it.Use(w, at) == record.WhileRevalidate
}

// InTime reports whether a Get with the windows may return the item at the instant, as far as time decides.
func (l *Tier[T]) InTime(it *Item[T], at mono.Instant, w *wire.Windows) bool {
	return at < it.LocalUntil() || l.servesStale(it, at, w, 0)
}

// usableUntil returns when the item stops being of any use, even as a fallback.
func (l *Tier[T]) usableUntil(it *Item[T]) mono.Instant {
	until := it.LocalUntil()
	if staleFor := it.StaleFor(l.retention); staleFor > 0 && until != deleted {
		return max(until, it.FreshUntil.Add(staleFor))
	}
	return until
}
