package local

// Peek returns the item of a key, whether it is served or not, or nil. It isn't counted as a read, except by ristretto, to which the
// key then is worth a little more.
func (l *Tier[T]) Peek(key string, hash uint64) *Item[T] {
	s := l.stripes.of(hash)
	s.begun.Add(1)
	defer s.misses.Add(1)
	if l.closed.Load() {
		return nil
	}
	it := l.buffer.get(hash) // first, since items go from there to ristretto
	if it == nil {
		it = l.peek(hash)
	}
	if it == nil || it.Key != key {
		return nil
	}
	return it
}

// Each calls f with the items, in no order, until f returns false. Those that were stored a moment ago may be left out. f must be
// short and not use the tier, because writes wait for it.
func (l *Tier[T]) Each(f func(*Item[T]) bool) {
	l.iterate(func(it *Item[T]) bool { return it.Deleted() || f(it) })
}

// iterate calls f with the items in ristretto's order, until f returns false.
func (l *Tier[T]) iterate(f func(*Item[T]) bool) {
	s := &l.stripes[0]
	s.begun.Add(1)
	defer s.misses.Add(1)
	if l.closed.Load() {
		return
	}
	l.cache.IterValues(func(it *Item[T]) (stop bool) { return it != nil && !f(it) })
}
