package inflight_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
)

// counts fails the test if other numbers of loads run and wait.
func counts(t *testing.T, s *inflight.Permits, running, waiting int) {
	t.Helper()
	if r, w := s.Count(); r != running || w != waiting {
		t.Errorf("%d run and %d wait; want %d and %d", r, w, running, waiting)
	}
}

// granted reports whether a load that waited has its permit.
func granted(p *inflight.Permit) bool {
	select {
	case <-p.Granted():
		return true
	default:
		return false
	}
}

// Permits are given in order, to background loads last, and one that leaves the queue is passed over.
func TestPermitsInOrder(t *testing.T) {
	s := inflight.NewPermits(1)
	var first inflight.Permit
	if got := s.Acquire(&first, false); got != inflight.Held {
		t.Fatal(got)
	}
	var waiting [5]inflight.Permit
	for i := range waiting {
		if got := s.Acquire(&waiting[i], i == 0); got != inflight.Waiting { // 0 is in the background
			t.Fatal(i, got)
		}
	}
	counts(t, s, 1, 5)
	s.Release(&waiting[2])
	previous := &first
	for _, i := range []int{1, 3, 4, 0} {
		if granted(&waiting[i]) {
			t.Errorf("%d has its permit too early", i)
		}
		s.Release(previous)
		s.Release(previous) // has no effect
		if previous = &waiting[i]; !granted(previous) || s.Acquire(previous, false) != inflight.Held {
			t.Errorf("%d has no permit", i)
		}
		running, _ := s.Count()
		if running != 1 {
			t.Errorf("%d run", running)
		}
	}
	s.End(previous)
	counts(t, s, 0, 0)
}

// A queue takes 16 loads for each permit, and background loads have a queue of their own.
func TestLoadQueueIsBounded(t *testing.T) {
	s := inflight.NewPermits(2)
	var held [2]inflight.Permit
	for i := range held {
		s.Acquire(&held[i], false)
	}
	queued := make([]inflight.Permit, 32)
	for i := range queued {
		if got := s.Acquire(&queued[i], false); got != inflight.Waiting {
			t.Fatal(i, got)
		}
	}
	var late, background inflight.Permit
	if got := s.Acquire(&late, false); got != inflight.NoPermit {
		t.Error(got)
	}
	if got := s.Acquire(&background, true); got != inflight.Waiting {
		t.Error(got)
	}
	s.Release(&queued[7])
	if got := s.Acquire(&late, false); got != inflight.Waiting {
		t.Error(got)
	}
	counts(t, s, 2, 33)
}

// A load that is admitted beyond the limit counts: others get a permit when fewer than the limit run.
func TestAdmittedBeyondTheLimit(t *testing.T) {
	s := inflight.NewPermits(1)
	var first, waits, admitted, other inflight.Permit
	s.Acquire(&first, false)
	s.Acquire(&other, false)
	s.Acquire(&waits, false)
	s.Admit(&waits)
	s.Admit(&waits) // has no effect
	s.Admit(&admitted)
	counts(t, s, 3, 1)
	s.Release(&first)
	s.Release(&waits)
	if granted(&other) {
		t.Error("there was no permit yet")
	}
	s.Release(&admitted)
	if !granted(&other) {
		t.Error("there is a permit")
	}
	counts(t, s, 1, 0)
}

// Background loads that begin take a quarter of the permits, and count until they end.
func TestBackgroundPermits(t *testing.T) {
	for most, want := range map[int]int{1: 1, 7: 1, 8: 2, 256: 64, -1: 64} {
		s := inflight.NewPermits(most)
		var all []inflight.Permit
		for {
			p, ok := s.AcquireBackground()
			if !ok {
				break
			}
			all = append(all, p)
		}
		if len(all) != want {
			t.Errorf("of %d permits background loads take %d; want %d", most, len(all), want)
		}
		s.Release(&all[0])
		if _, ok := s.AcquireBackground(); ok {
			t.Errorf("%d: it hasn't ended yet", most)
		}
		s.End(&all[0])
		if _, ok := s.AcquireBackground(); !ok {
			t.Errorf("%d: it has ended", most)
		}
	}
	s := inflight.NewPermits(8)
	for range 8 {
		s.Acquire(new(inflight.Permit), false)
	}
	if _, ok := s.AcquireBackground(); ok {
		t.Error("no permit was free")
	}
}

// Loads that come and go in any order never exceed the limit, and leave nothing behind.
func TestPermitsConcurrently(t *testing.T) {
	const most = 3
	s := inflight.NewPermits(most)
	var running atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 500 {
				var p inflight.Permit
				background := r.IntN(3) == 0
				standing := s.Acquire(&p, background)
				if standing == inflight.Waiting && r.IntN(4) > 0 {
					<-p.Granted()
					standing = s.Acquire(&p, background)
				}
				if standing == inflight.Held {
					if n := running.Add(1); n > most {
						t.Errorf("%d run", n)
					}
					running.Add(-1)
				}
				s.End(&p)
			}
		})
	}
	wg.Wait()
	counts(t, s, 0, 0)
}

// A permit that is free costs no allocation.
func TestPermitAllocatesNothing(t *testing.T) {
	s := inflight.NewPermits(1)
	var p inflight.Permit
	if n := testing.AllocsPerRun(100, func() {
		s.Acquire(&p, false)
		s.End(&p)
		if q, ok := s.AcquireBackground(); ok {
			s.End(&q)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
