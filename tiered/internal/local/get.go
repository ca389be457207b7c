package local

import (
	"github.com/tiercache/tiercache/tiered/internal/coherence"
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
// be served. An item whose validity has run out is served only while
// its server doesn't answer, and never if the tier is strict.
func (l *Tier[T]) Get(key string, hash uint64, at mono.Instant, w *wire.Windows) *Item[T] {
	f := l.front.Load()
	it := f.get(key, hash)
	if it == nil || at >= it.LocalUntil() || !it.Valid(at) {
		return l.find(key, hash, at, w, 0)
	}
	if l.sampling.Load() {
		l.countHit(hash, it.Key)
	} else if n := l.frontHits.count(); f.counts && oneIn(n) {
		l.countRead(hash)
	}
	return it
}

// countHit counts a hit in the stripe of the hash, and has a sample taken of it if one is due.
func (l *Tier[T]) countHit(hash uint64, key string) (number uint64) {
	s := l.stripes.of(hash)
	if number = s.hits.Add(1); s.due(number) {
		l.sample(hash, key)
	}
	return number
}

// countRead tells ristretto of a read that it hasn't seen.
func (l *Tier[T]) countRead(hash uint64) {
	s := l.stripes.of(hash)
	if g := l.enter(s); g != nil {
		g.Get(hash)
		g.leave(s)
	}
}

// GetStale returns the item that may be served at the instant, or later if a load fails: fresh, or stale under the windows of
// any view. It doesn't count as a hit.
func (l *Tier[T]) GetStale(key string, hash uint64, at mono.Instant) *Item[T] {
	return l.find(key, hash, at, nil, acceptStale)
}

// GetUnverified returns the item that is served now since Redis can't be read: its validity may have run out. It returns nil
// if the tier is strict.
func (l *Tier[T]) GetUnverified(key string, hash uint64, w *wire.Windows) *Item[T] {
	if l.strict {
		return nil
	}
	return l.find(key, hash, mono.Now(), w, acceptUnverified)
}

// GetUnverifiedStale is GetUnverified of an item that may also be stale, as with GetStale.
func (l *Tier[T]) GetUnverifiedStale(key string, hash uint64) *Item[T] {
	if l.strict {
		return nil
	}
	return l.find(key, hash, mono.Now(), nil, acceptUnverified|acceptStale)
}

// find looks into ristretto, and then into the write buffer. An item that goes from the buffer to ristretto at that time could
// be missed in both places. The buffer therefore increments handled after ristretto has the items and before it forgets them:
// if the number has changed, find looks into ristretto again.
func (l *Tier[T]) find(key string, hash uint64, at mono.Instant, w *wire.Windows, a accept) (it *Item[T]) {
	s := l.stripes.of(hash)
	g := l.enter(s)
	if g == nil {
		return nil
	}
	handled := l.buffer.handled.Load()
	if a == 0 {
		it, _ = g.Get(hash)
	} else {
		it = l.AfterExpiry(g.peek(hash))
	}
	found := it // in ristretto
	if it == nil || !l.serves(it, key, at, w, a) {
		refused := it
		it = l.buffer.get(hash)
		if it == nil && l.buffer.handled.Load() != handled {
			it = g.peek(hash) // it went from the write buffer to ristretto in between
		}
		if it == refused { // it is in both: count it once
			it = nil
		}
		if a != 0 {
			it = l.AfterExpiry(it)
		}
		if it == nil || !l.serves(it, key, at, w, a) {
			it = nil
		}
	}
	g.leave(s)
	if it == nil || a&acceptStale != 0 { // what is stale isn't served yet: the caller keeps it as a fallback
		return it
	}
	n := l.countHit(hash, it.Key)
	if it == found && a == 0 && at < it.LocalUntil() {
		if f := l.front.Load(); oneIn(n) || !f.counts && f.hasRoom(hash) {
			l.buffer.admit(hash, it)
		}
	}
	return it
}

// serves reports whether a Get returns the item: it has the key, and neither the time nor its validity forbids it. Each Get asks
// serves. A caller that keeps an item to serve it later, as a fallback, must then check its time and validity again.
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
	case it.Deleted() || at >= it.usableUntil(l.retention):
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
	after, ok := it.AfterExpiry()
	if !ok {
		return it
	}
	deps := after // a variable whose address is kept is allocated where it is declared
	return l.StaleCopy(it, &deps)
}
