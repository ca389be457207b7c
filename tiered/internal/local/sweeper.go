package local

import (
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	sweepEvery = 5 * time.Second
	sweepShare = 50 // at most one part in so many of the time is spent looking
	sweepBatch = 1_000
)

// sweeper takes what has expired out of the local tier, for its memory's sake: whether an item is served doesn't depend
// on it. ristretto's own expiry would read the clock once more on every Get, and keep a second map.
type sweeper[T any] struct {
	local *Tier[T]
	quit  chan struct{}
	ended chan struct{}
}

func (s *sweeper[T]) start(l *Tier[T]) {
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
		timer.Reset(max(sweepEvery, mono.Times(sweepShare, s.sweep(mono.Now()))))
	}
}

// sweep returns how long it looked for what has expired, or was invalidated.
func (s *sweeper[T]) sweep(at mono.Instant) time.Duration {
	var expired []*Item[T]
	s.local.cache.IterValues(func(it *Item[T]) (stop bool) {
		if at >= s.local.Over(it) || !it.Intact() && s.local.AfterExpiry(it) == it {
			expired = append(expired, it)
		}
		return s.quits()
	})
	looked := mono.Now().Since(at)
	for i, it := range expired {
		if s.quits() {
			break
		}
		s.local.buffer.discard(it)
		if i%sweepBatch == sweepBatch-1 {
			s.local.cache.Wait() // leave room in ristretto's queue
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
