package inflight

import (
	"container/list"
	"math"
	"sync"
)

const (
	// linePerPlace is how many loads may wait for each place. The last in the line waits for as long as this many loads take one after
	// the other: 1.6 seconds if one takes 100 milliseconds. Callers of more would rather have an answer at once.
	linePerPlace = 16
	// maxBehind is how many background loads there may be at a time without a limit of loads.
	maxBehind = 64
)

// Places limits how many loads a cache runs at a time. A load that finds no free place waits in a line of bounded length, and gets one in
// order; background loads get one when no other load waits. Not golang.org/x/sync/semaphore: that has one line without a bound, in
// which nobody can be let in before the first.
type Places struct {
	most   int // how many loads may run
	length int // of each line, at most
	behind int // how many background loads there may be

	mu         sync.Mutex
	running    int // more than most if some were admitted beyond the limit
	background int
	lines      [2]list.List // of *Place: of callers' loads, and of background loads. Empty while a place is free
}

// Place is a load's place, or its position in the line. It belongs to one goroutine. The zero Place is outside.
type Place struct {
	standing Standing
	behind   bool // it counts as a background load
	granted  chan struct{}
	line     *list.List // nil unless it waits
	position *list.Element
}

// Standing says whether a load has a place: it is Outside if it doesn't wait for one either.
type Standing uint8

const (
	Outside Standing = iota
	Waiting
	Inside
)

// NewPlaces returns the places for that many loads. A negative number is no limit.
func NewPlaces(most int) *Places {
	s := &Places{most: most, behind: max(1, most/4)}
	if most < 0 {
		s.most, s.behind = math.MaxInt, maxBehind
	}
	s.length = min(s.most, math.MaxInt/linePerPlace) * linePerPlace
	return s
}

// Enter takes a place for a load outside if one is free, and otherwise puts it into the line unless that is full. It returns the
// load's standing.
func (s *Places) Enter(p *Place, background bool) Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.standing != Outside {
		return p.standing
	}
	if s.running < s.most {
		s.take(p)
		return Inside
	}
	if p.line = &s.lines[0]; background {
		p.line = &s.lines[1]
	}
	if p.line.Len() < s.length {
		p.standing, p.granted, p.position = Waiting, make(chan struct{}), p.line.PushBack(p)
	}
	return p.standing
}

// EnterBehind takes a place for a background load. It reports false if none is free, or if such loads have a quarter of all.
func (s *Places) EnterBehind() (p Place, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running >= s.most || s.background >= s.behind {
		return Place{}, false
	}
	p.behind = true
	s.background++
	s.take(&p)
	return p, true
}

// Admit gives the load a place at once, beyond the limit if none is free.
func (s *Places) Admit(p *Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.standing == Waiting {
		p.line.Remove(p.position)
	}
	if p.standing != Inside {
		s.take(p)
	}
}

// take gives the load a place. The caller holds the lock.
func (s *Places) take(p *Place) { s.running, p.standing = s.running+1, Inside }

// Leave gives the load's place, or its position in the line, up. It does nothing if the load is outside.
func (s *Places) Leave(p *Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(p)
}

// leave is Leave for a caller that holds the lock.
func (s *Places) leave(p *Place) {
	switch p.standing {
	case Waiting:
		p.line.Remove(p.position)
	case Inside:
		s.running--
	}
	p.standing = Outside
	for i := range s.lines {
		for l := &s.lines[i]; s.running < s.most && l.Len() > 0; {
			next := l.Remove(l.Front()).(*Place)
			s.take(next)
			close(next.granted)
		}
	}
}

// End is Leave for a load that is over. A background load counts as one until then, also while it is outside.
func (s *Places) End(p *Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(p)
	if p.behind {
		p.behind = false
		s.background--
	}
}

// Granted returns a channel that is closed when the load, which waits, gets its place.
func (p *Place) Granted() <-chan struct{} { return p.granted }

// Count returns how many loads have a place, and how many wait for one.
func (s *Places) Count() (running, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.lines[0].Len() + s.lines[1].Len()
}
