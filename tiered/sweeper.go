package tiered

import "time"

const (
	sweepEvery = 5 * time.Second
	sweepShare = 50 // at most one part in so many of the time is spent sweeping
)

// sweeper takes what has expired out of the local tier, for its memory's sake: whether an item is served doesn't depend
// on it. ristretto's own expiry would read the clock once more on every Get, and keep a second map.
type sweeper[T any] struct {
	local *local[T]
	quit  chan struct{}
	ended chan struct{}
}

func (s *sweeper[T]) start(l *local[T]) {
	s.local, s.quit, s.ended = l, make(chan struct{}), make(chan struct{})
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
		began := now()
		s.sweep(began)
		timer.Reset(max(sweepEvery, sweepShare*now().since(began)))
	}
}

func (s *sweeper[T]) sweep(at instant) {
	var expired []*item[T]
	s.local.cache.IterValues(func(it *item[T]) (stop bool) {
		if it.state(at) == Stale {
			expired = append(expired, it)
		}
		return false
	})
	for _, it := range expired {
		s.local.nursery.discard(it)
	}
}

func (s *sweeper[T]) close() {
	close(s.quit)
	<-s.ended
}
