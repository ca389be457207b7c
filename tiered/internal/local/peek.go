package local

// Peek returns the item of a key, whether it is served or not, or nil. It isn't counted as a read, except by ristretto, to which the
// key then is worth a little more.
func (l *Tier[T]) Peek(key string, hash uint64) *Item[T] {
	s := l.stripes.of(hash)
	g := l.enter(s)
	if g == nil {
		return nil
	}
	defer g.leave(s)
	it := l.buffer.get(hash) // first, since items go from there to ristretto
	if it == nil {
		it = g.peek(hash)
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
	g := l.enter(s)
	if g == nil {
		return
	}
	defer g.leave(s)
	g.IterValues(func(it *Item[T]) (stop bool) { return it != nil && !f(it) })
}
