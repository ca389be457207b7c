package inflight

import (
	"container/list"
	"math"
	"sync"
)

const (
	// queuePerPermit is how many loads may wait for each permit. The last in the queue waits for as long as this many loads take one after
	// the other: 1.6 seconds if one takes 100 milliseconds. Callers of more would rather have an answer at once.
	queuePerPermit = 16
	// maxBehind is how many background loads there may be at a time without a limit of loads.
	maxBehind = 64
)

// Permits limits how many loads a cache runs at a time. A load that finds no free permit waits in a queue of bounded length, and gets one in
// order; background loads get one when no other load waits. Not golang.org/x/sync/semaphore: that has one queue without a bound, in
// which no load can be admitted before the first.
type Permits struct {
	most   int // how many loads may run
	length int // of each queue, at most
	behind int // how many background loads there may be

	mu         sync.Mutex
	running    int // more than most if some were admitted beyond the limit
	background int
	queues     [2]list.List // of *Permit: of callers' loads, and of background loads. Empty while a permit is free
}

// Permit is a load's permit, or its position in the queue. It belongs to one goroutine. The zero Permit has neither.
type Permit struct {
	standing Standing
	behind   bool // it counts as a background load
	granted  chan struct{}
	queue    *list.List // nil unless it waits
	position *list.Element
}

// Standing says whether a load has its permit, waits for it, or neither.
type Standing uint8

const (
	NoPermit Standing = iota
	Waiting
	Held
)

// NewPermits returns the permits for that many loads. A negative number is no limit.
func NewPermits(most int) *Permits {
	s := &Permits{most: most, behind: max(1, most/4)}
	if most < 0 {
		s.most, s.behind = math.MaxInt, maxBehind
	}
	s.length = min(s.most, math.MaxInt/queuePerPermit) * queuePerPermit
	return s
}

// Acquire takes a permit for a load that has none if one is free, and otherwise puts it into the queue unless that is full. It returns the
// load's standing.
func (s *Permits) Acquire(p *Permit, background bool) Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.standing != NoPermit {
		return p.standing
	}
	if s.running < s.most {
		s.take(p)
		return Held
	}
	if p.queue = &s.queues[0]; background {
		p.queue = &s.queues[1]
	}
	if p.queue.Len() < s.length {
		p.standing, p.granted, p.position = Waiting, make(chan struct{}), p.queue.PushBack(p)
	}
	return p.standing
}

// AcquireBackground takes a permit for a background load. It reports false if none is free, or if such loads have a quarter of all.
func (s *Permits) AcquireBackground() (p Permit, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running >= s.most || s.background >= s.behind {
		return Permit{}, false
	}
	p.behind = true
	s.background++
	s.take(&p)
	return p, true
}

// Admit gives the load a permit at once, beyond the limit if none is free.
func (s *Permits) Admit(p *Permit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.standing == Waiting {
		p.queue.Remove(p.position)
	}
	if p.standing != Held {
		s.take(p)
	}
}

// take gives the load a permit. The caller holds the lock.
func (s *Permits) take(p *Permit) { s.running, p.standing = s.running+1, Held }

// Release gives back the load's permit, or its position in the queue. It does nothing if the load has neither.
func (s *Permits) Release(p *Permit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(p)
}

// release is Release for a caller that holds the lock.
func (s *Permits) release(p *Permit) {
	switch p.standing {
	case Waiting:
		p.queue.Remove(p.position)
	case Held:
		s.running--
	}
	p.standing = NoPermit
	for i := range s.queues {
		for l := &s.queues[i]; s.running < s.most && l.Len() > 0; {
			next := l.Remove(l.Front()).(*Permit)
			s.take(next)
			close(next.granted)
		}
	}
}

// End is Release for a load that is over. A background load counts as one until then, also while it has no permit.
func (s *Permits) End(p *Permit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(p)
	if p.behind {
		p.behind = false
		s.background--
	}
}

// Granted returns a channel that is closed when the load, which waits, gets its permit.
func (p *Permit) Granted() <-chan struct{} { return p.granted }

// Count returns how many loads have a permit, and how many wait for one.
func (s *Permits) Count() (running, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.queues[0].Len() + s.queues[1].Len()
}
