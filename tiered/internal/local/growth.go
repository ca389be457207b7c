package local

// ristretto's counters are needed to choose between items, when there is no room for all. A tier that is far from that has only a few:
// they are not worth the memory that its MaxCost would ask for, which a process with many caches would pay for each of them.
const (
	firstCounters = 1 << 14 // which take 64 KB
	firstEntries  = 16_384  // with more than these the tier gets all counters. They are copied then, which takes some 10 ms.
	firstShare    = 4       // so does a tier when a quarter of its capacity is used
)

// outgrown reports whether the tier has too many items for its first generation.
func (s *store[T]) outgrown() bool {
	g := s.current.Load()
	return g.number == 0 && s.allCounters() > firstCounters && (g.entries.Load() > firstEntries || g.cost() > s.maxCost/firstShare)
}

// allCounters returns the number of counters of a tier that is full.
func (s *store[T]) allCounters() int64 { return countersFor(s.maxCost, s.costed) }

// grow replaces the first generation by one that has all counters and the same items. The write buffer's goroutine calls it between
// two rounds. Reads, Sets and Deletes go on: while items are copied, neither generation is changed by anybody else. What is set or
// deleted meanwhile is kept in the write buffer, where reads find it, and ristretto gets it in the next round.
//
// A read that is still in the first generation finds there what the second one has. What changes after that is in the write buffer,
// from which nothing is removed until that read has left.
func (b *writeBuffer[T]) grow() {
	old := b.store.current.Load()
	next, err := b.store.newGeneration(1, b.store.allCounters())
	if err != nil {
		return // can't be: the first one had the same configuration
	}
	b.hold(true)
	old.Wait()
	if !b.copyItems(old, next) {
		next.close()
		return
	}
	next.Wait()
	b.store.current.Store(next)
	b.hold(false)
	b.stripes.waitUntilLeft(old.number)
	old.close()
}

// copyItems gives the items of one generation to another. It reports false if the tier is being closed.
func (b *writeBuffer[T]) copyItems(from, to *generation[T]) (all bool) {
	all = true
	from.IterValues(func(it *Item[T]) (stop bool) {
		if it.Deleted() {
			return false
		}
		for hash := b.store.hash(it.Key); !to.set(hash, it); {
			to.Wait()
		}
		select {
		case <-b.quit:
			all = false
		default:
		}
		return !all
	})
	return all
}

// hold makes the shards keep what is set and deleted from ristretto, or ends that.
func (b *writeBuffer[T]) hold(on bool) {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		s.held = on
		s.mu.Unlock()
	}
}

// fitFront replaces a front that has become too small for the items, or by one of the second generation. Items get into it as
// they are read.
func (s *store[T]) fitFront() {
	f, g := s.front.Load(), s.current.Load()
	counts := g.number > 0 || s.allCounters() <= firstCounters
	if n := slotsFor(g.entries.Load()); n > len(f.slots) || counts != f.counts {
		s.front.Store(newFront[T](max(n, len(f.slots)), counts))
	}
}
