package inflight_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

// background returns the permit of a background load that has given it back.
func background(t *testing.T, s *inflight.Permits) inflight.Permit {
	t.Helper()
	p, ok := s.AcquireBackground()
	if !ok {
		t.Fatal("no permit is free")
	}
	s.Release(&p)
	return p
}

// Permits are given in order, to background loads last, and one that leaves the queue is passed over.
func TestPermitsInOrder(t *testing.T) {
	s := inflight.NewPermits(1)
	var first inflight.Permit
	var waiting [5]inflight.Permit
	waiting[0] = background(t, s)
	if got := s.Acquire(&first); got != inflight.Held {
		t.Fatal(got)
	}
	for i := range waiting {
		if got := s.Acquire(&waiting[i]); got != inflight.Waiting {
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
		if previous = &waiting[i]; !granted(previous) || s.Acquire(previous) != inflight.Held {
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

// release releases the permit of a load, and returns which of the others then has its own.
func release(t *testing.T, s *inflight.Permits, held *inflight.Permit, waiting []*inflight.Permit) (next int) {
	t.Helper()
	s.Release(held)
	next = slices.IndexFunc(waiting, func(p *inflight.Permit) bool { return s.Acquire(p) == inflight.Held })
	if next < 0 {
		t.Fatal("no load has the permit")
	}
	return next
}

// The loads with the most callers get a permit first: of those with at least twice as many callers as others the first comes before them.
func TestMostCallersFirst(t *testing.T) {
	tb, _ := open(t)
	s := inflight.NewPermits(1)
	held := new(inflight.Permit)
	s.Acquire(held)
	names, callers := []string{"one", "two", "one more", "three", "nine"}, []int{1, 2, 1, 3, 9}
	var waiting []*inflight.Permit
	for i, name := range names {
		p, wake := new(inflight.Permit), make(chan struct{}, 1)
		waiting = append(waiting, p)
		for n := range callers[i] {
			f, _ := tb.Join(t.Context(), name, hash(name), inflight.ForRead, &options{Owner: new(inflight.Owner)})
			if n == callers[i]/2 { // the others join while it waits
				s.Acquire(p)
				tb.Demand(f, p, wake)
			}
		}
	}
	var order []string
	for len(waiting) > 0 {
		i := release(t, s, held, waiting)
		order, held = append(order, names[i]), waiting[i]
		names, waiting = slices.Delete(names, i, i+1), slices.Delete(waiting, i, i+1)
	}
	if want := []string{"nine", "two", "three", "one", "one more"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
}

// Loads with many callers that never end don't keep one with a single caller from its permit: each eighth is for those with the fewest.
func TestFewCallersWaitNotForEver(t *testing.T) {
	tb, _ := open(t)
	s := inflight.NewPermits(1)
	held, few := new(inflight.Permit), new(inflight.Permit)
	s.Acquire(held)
	s.Acquire(few)
	for i := range 8 {
		name, many := fmt.Sprint(i), new(inflight.Permit)
		s.Acquire(many)
		for range 2 {
			f, _ := tb.Join(t.Context(), name, hash(name), inflight.ForRead, &options{Owner: new(inflight.Owner)})
			tb.Demand(f, many, make(chan struct{}, 1))
		}
		next := release(t, s, held, []*inflight.Permit{many, few})
		if want := i / 7; next != want {
			t.Errorf("release %d: %d has the permit, want %d", i, next, want)
		}
		held = many
	}
}

// A queue takes 16 loads for each permit, and background loads have a queue of their own.
func TestLoadQueueIsBounded(t *testing.T) {
	s := inflight.NewPermits(2)
	later := background(t, s)
	var held [2]inflight.Permit
	for i := range held {
		s.Acquire(&held[i])
	}
	queued := make([]inflight.Permit, 32)
	for i := range queued {
		if got := s.Acquire(&queued[i]); got != inflight.Waiting {
			t.Fatal(i, got)
		}
	}
	var late inflight.Permit
	if got := s.Acquire(&late); got != inflight.NoPermit {
		t.Error(got)
	}
	if got := s.Acquire(&later); got != inflight.Waiting {
		t.Error(got)
	}
	s.Release(&queued[7])
	if got := s.Acquire(&late); got != inflight.Waiting {
		t.Error(got)
	}
	counts(t, s, 2, 33)
}

// A load that is admitted beyond the limit counts: others get a permit when fewer than the limit run.
func TestAdmittedBeyondTheLimit(t *testing.T) {
	s := inflight.NewPermits(1)
	var first, waits, admitted, other inflight.Permit
	s.Acquire(&first)
	s.Acquire(&other)
	s.Acquire(&waits)
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
		s.Acquire(new(inflight.Permit))
	}
	if _, ok := s.AcquireBackground(); ok {
		t.Error("no permit was free")
	}
}

// What is split off a background load is one, too: all of them run no more than a quarter of the loads, while callers' loads run at once.
func TestSplitBackground(t *testing.T) {
	s := inflight.NewPermits(8)
	first, _ := s.AcquireBackground()
	second, _ := s.AcquireBackground()
	split, caller := s.Split(&first), new(inflight.Permit)
	if got := s.Acquire(&split); got != inflight.Waiting {
		t.Error(got)
	}
	if got := s.Acquire(caller); got != inflight.Held {
		t.Error(got)
	}
	plain := s.Split(caller)
	if got := s.Acquire(&plain); got != inflight.Held {
		t.Error("split off a caller's load:", got)
	}
	s.End(caller)
	s.End(&plain)
	if granted(&split) {
		t.Error("two background loads run")
	}
	s.End(&first)
	if !granted(&split) {
		t.Error("only one background load runs")
	}
	if _, ok := s.AcquireBackground(); ok {
		t.Error("two background loads run, and another begins")
	}
	s.End(&second)
	if _, ok := s.AcquireBackground(); !ok {
		t.Error("only one background load runs, and no other begins")
	}
}

// Loads that come and go in any order never exceed the limit, and leave nothing behind.
func TestPermitsConcurrently(t *testing.T) {
	const most = 3
	tb, _ := open(t)
	s := inflight.NewPermits(most)
	var running atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 500 {
				var p inflight.Permit
				if r.IntN(3) == 0 {
					p, _ = s.AcquireBackground()
					s.Release(&p)
				}
				if r.IntN(3) == 0 {
					whole := p
					p = s.Split(&whole)
					s.End(&whole)
				}
				standing := s.Acquire(&p)
				f, _ := tb.Join(t.Context(), "k", hash("k"), inflight.ForRead, &options{Owner: new(inflight.Owner)})
				tb.Demand(f, &p, nil) // the next call that joins may raise it
				if standing == inflight.Waiting && r.IntN(4) > 0 {
					<-p.Granted()
					standing = s.Acquire(&p)
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
		s.Acquire(&p)
		s.End(&p)
		if q, ok := s.AcquireBackground(); ok {
			s.End(&q)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
