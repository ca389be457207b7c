package inflight_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
)

// counts fails the test if other numbers of loads run and wait.
func counts(t *testing.T, s *inflight.Places, running, waiting int) {
	t.Helper()
	if r, w := s.Count(); r != running || w != waiting {
		t.Errorf("%d run and %d wait; want %d and %d", r, w, running, waiting)
	}
}

// granted reports whether a load that waited has its place.
func granted(p *inflight.Place) bool {
	select {
	case <-p.Granted():
		return true
	default:
		return false
	}
}

// Places are given in order, to background loads last, and one that leaves the line is passed over.
func TestPlacesInOrder(t *testing.T) {
	s := inflight.NewPlaces(1)
	var first inflight.Place
	if got := s.Enter(&first, false); got != inflight.Inside {
		t.Fatal(got)
	}
	var waiting [5]inflight.Place
	for i := range waiting {
		if got := s.Enter(&waiting[i], i == 0); got != inflight.Waiting { // 0 is in the background
			t.Fatal(i, got)
		}
	}
	counts(t, s, 1, 5)
	s.Leave(&waiting[2])
	previous := &first
	for _, i := range []int{1, 3, 4, 0} {
		if granted(&waiting[i]) {
			t.Errorf("%d has its place too early", i)
		}
		s.Leave(previous)
		s.Leave(previous) // has no effect
		if previous = &waiting[i]; !granted(previous) || s.Enter(previous, false) != inflight.Inside {
			t.Errorf("%d has no place", i)
		}
		running, _ := s.Count()
		if running != 1 {
			t.Errorf("%d run", running)
		}
	}
	s.End(previous)
	counts(t, s, 0, 0)
}

// A line takes 16 loads for each place, and background loads have a line of their own.
func TestLineIsBounded(t *testing.T) {
	s := inflight.NewPlaces(2)
	var inside [2]inflight.Place
	for i := range inside {
		s.Enter(&inside[i], false)
	}
	line := make([]inflight.Place, 32)
	for i := range line {
		if got := s.Enter(&line[i], false); got != inflight.Waiting {
			t.Fatal(i, got)
		}
	}
	var late, background inflight.Place
	if got := s.Enter(&late, false); got != inflight.Outside {
		t.Error(got)
	}
	if got := s.Enter(&background, true); got != inflight.Waiting {
		t.Error(got)
	}
	s.Leave(&line[7])
	if got := s.Enter(&late, false); got != inflight.Waiting {
		t.Error(got)
	}
	counts(t, s, 2, 33)
}

// A load that is admitted beyond the limit counts: others get a place when fewer than the limit run.
func TestAdmittedBeyondTheLimit(t *testing.T) {
	s := inflight.NewPlaces(1)
	var first, waits, admitted, other inflight.Place
	s.Enter(&first, false)
	s.Enter(&other, false)
	s.Enter(&waits, false)
	s.Admit(&waits)
	s.Admit(&waits) // has no effect
	s.Admit(&admitted)
	counts(t, s, 3, 1)
	s.Leave(&first)
	s.Leave(&waits)
	if granted(&other) {
		t.Error("there was no place yet")
	}
	s.Leave(&admitted)
	if !granted(&other) {
		t.Error("there is a place")
	}
	counts(t, s, 1, 0)
}

// Background loads that begin take a quarter of the places, and count until they end.
func TestPlacesBehind(t *testing.T) {
	for most, want := range map[int]int{1: 1, 7: 1, 8: 2, 256: 64, -1: 64} {
		s := inflight.NewPlaces(most)
		var all []inflight.Place
		for {
			p, ok := s.EnterBehind()
			if !ok {
				break
			}
			all = append(all, p)
		}
		if len(all) != want {
			t.Errorf("of %d places background loads take %d; want %d", most, len(all), want)
		}
		s.Leave(&all[0])
		if _, ok := s.EnterBehind(); ok {
			t.Errorf("%d: it hasn't ended yet", most)
		}
		s.End(&all[0])
		if _, ok := s.EnterBehind(); !ok {
			t.Errorf("%d: it has ended", most)
		}
	}
	s := inflight.NewPlaces(8)
	for range 8 {
		s.Enter(new(inflight.Place), false)
	}
	if _, ok := s.EnterBehind(); ok {
		t.Error("no place was free")
	}
}

// Loads that come and go in any order never exceed the limit, and leave nothing behind.
func TestPlacesConcurrently(t *testing.T) {
	const most = 3
	s := inflight.NewPlaces(most)
	var running atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 500 {
				var p inflight.Place
				background := r.IntN(3) == 0
				standing := s.Enter(&p, background)
				if standing == inflight.Waiting && r.IntN(4) > 0 {
					<-p.Granted()
					standing = s.Enter(&p, background)
				}
				if standing == inflight.Inside {
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

// A place that is free costs no allocation.
func TestPlaceAllocatesNothing(t *testing.T) {
	s := inflight.NewPlaces(1)
	var p inflight.Place
	if n := testing.AllocsPerRun(100, func() {
		s.Enter(&p, false)
		s.End(&p)
		if q, ok := s.EnterBehind(); ok {
			s.End(&q)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
