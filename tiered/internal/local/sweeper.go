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
type sweeper[T any] struct {
	tier  *Tier[T]
	quit  chan struct{}
	ended chan struct{}
}

func (s *sweeper[T]) start(l *Tier[T]) {
	s.tier, s.quit, s.ended = l, make(chan struct{}), make(chan struct{})
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
	var useless []*Item[T]
	s.tier.cache.IterValues(func(it *Item[T]) (stop bool) {
		if at >= s.tier.usableUntil(it) || !it.Intact() && s.tier.AfterExpiry(it) == it {
			useless = append(useless, it)
		}
		return s.quits()
	})
	looked := mono.Now().Since(at)
	for i, it := range useless {
		if s.quits() {
			break
		}
		s.tier.buffer.deleteItem(it)
		if i%sweepBatch == sweepBatch-1 {
			s.tier.cache.Wait() // leaves room in ristretto's queue
		}
	}
	return looked
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
