package local

import (
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	sweepEvery = 5 * time.Second
	sweepShare = 50    // the sweeper spends at most this fraction of the time looking: one in 50
	sweepBatch = 1_000 // removals between two waits for ristretto's queue
)

// sweeper removes expired and invalidated items, to free their memory. Whether an item is served doesn't depend on it.
// ristretto's own expiry would read the clock once more on every Get, and keep a second map.
//
// It looks at every item, because an item's end isn't known when it is set: a view with a longer window moves it, and an
// invalidation of a tag doesn't touch the items that have it. So it may be slow, and pauses for 50 times as long as it looked.
// It collects what is useless before it removes any of it, since ristretto holds a lock while it shows its items. An item may be
// replaced between the two: deleteItem removes it only if ristretto still has this very one, and leaves to the write buffer
// what is there.
type sweeper[T any] struct {
	store  *store[T]
	buffer *writeBuffer[T]
	stripe *stripe // in which the sweeper enters the generation
	quit   chan struct{}
	ended  chan struct{}
}

func (s *sweeper[T]) start(items *store[T], b *writeBuffer[T], in *stripe) {
	s.store, s.buffer, s.stripe, s.quit, s.ended = items, b, in, make(chan struct{}), make(chan struct{})
	go s.run()
}

func (s *sweeper[T]) run() {
	defer close(s.ended)
	timer := time.NewTimer(sweepEvery)
	defer timer.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-timer.C:
		}
		timer.Reset(max(sweepEvery, mono.Times(sweepShare, s.sweep(mono.Now()))))
	}
}

// sweep removes what is of no use at the instant. It returns how long it took to look through all items.
func (s *sweeper[T]) sweep(at mono.Instant) time.Duration {
	g := s.store.enter(s.stripe)
	if g == nil {
		return 0
	}
	defer g.leave(s.stripe)
	var useless []*Item[T]
	g.IterValues(func(it *Item[T]) (stop bool) {
		if s.isUseless(it, at) {
			useless = append(useless, it)
		}
		return s.quits()
	})
	looked := mono.Now().Since(at)
	for i, it := range useless {
		if s.quits() {
			break
		}
		s.buffer.deleteItem(it)
		if i%sweepBatch == sweepBatch-1 {
			g.Wait() // leaves room in ristretto's queue
		}
	}
	return looked
}

// isUseless reports whether the item can't be served any more, nor a stale copy of it.
func (s *sweeper[T]) isUseless(it *Item[T], at mono.Instant) bool {
	if at >= it.usableUntil(s.store.retention) {
		return true
	}
	if it.Intact() {
		return false
	}
	_, expired := it.AfterExpiry()
	return !expired
}

func (s *sweeper[T]) quits() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

func (s *sweeper[T]) close() {
	close(s.quit)
	<-s.ended
}
