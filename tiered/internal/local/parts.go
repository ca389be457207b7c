package local

// Parts is the number of parts that EachPart divides the items into, by their hashes. They are the maps in which ristretto has the items,
// and reads them one after the other.
const Parts = 256

// stride is how many items of a part that isn't wanted are skipped for one that is looked at. An item that isn't looked at costs a tenth of
// one that is, because it needn't be brought into the processor's cache.
const stride = 512

// EachPart calls f with the items of each part from the given one on, until f returns false. It is for those who read the tier a bit at a
// time. Parts without items are left out. What Each says of items and of f holds here too, and f must not keep the slice.
func (l *Tier[T]) EachPart(from int, f func(part int, items []*Item[T]) bool) {
	r := partReader[T]{hash: l.hash, from: from, f: f, skipping: from > 0}
	if l.iterate(r.next); r.skipping {
		r.addAll()
	}
	if !r.done && len(r.items) > 0 {
		f(r.part, r.items)
	}
}

// partReader gathers the items of a part.
type partReader[T any] struct {
	hash     func(string) uint64
	from     int
	f        func(part int, items []*Item[T]) bool
	skipping bool       // the part isn't reached yet, as far as is known
	skipped  []*Item[T] // those since the last one that was looked at
	part     int
	items    []*Item[T] // of the part
	done     bool       // f has returned false
}

// next takes the next item. It reports whether more are wanted.
func (r *partReader[T]) next(it *Item[T]) bool {
	if !r.skipping {
		return r.add(it)
	}
	r.skipped = append(r.skipped, it)
	if len(r.skipped) < stride {
		return true
	}
	if r.partOf(it) < r.from {
		r.skipped = r.skipped[:0]
		return true
	}
	r.skipping = false
	return r.addAll()
}

func (r *partReader[T]) partOf(it *Item[T]) int { return int(r.hash(it.Key) % Parts) }

// addAll adds the items that were skipped, among which the part may begin.
func (r *partReader[T]) addAll() bool {
	for _, it := range r.skipped {
		if !r.add(it) {
			return false
		}
	}
	return true
}

// add adds an item, after the part before was handed out if the item is the first of another.
func (r *partReader[T]) add(it *Item[T]) bool {
	part := r.partOf(it)
	if part < r.from || it.Deleted() {
		return true
	}
	if part != r.part && len(r.items) > 0 {
		r.done = !r.f(r.part, r.items)
		r.items = r.items[:0]
	}
	r.part, r.items = part, append(r.items, it)
	return !r.done
}
