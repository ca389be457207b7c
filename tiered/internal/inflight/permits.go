package inflight

import (
	"container/list"
	"math"
	"math/bits"
	"sync"
)

const (
	// queuePerPermit is how many loads may wait for each permit. The last in the queue waits for as long as this many loads take one after
	// the other: 1.6 seconds if one takes 100 milliseconds. Callers of more would rather have an answer at once.
	queuePerPermit = 16
	// maxBehind is how many background loads there may be at a time without a limit of loads.
	maxBehind = 64
	// levels is how many levels a queue has. A load with n callers is in level log2(n), or in the last one.
	levels = 8
	// fairTurn is how often the queue's lowest level has its turn: each eighth time.
	fairTurn = 8
)

// Permits limits how many loads a cache runs at a time. A load that finds no free permit waits in a queue of bounded length. Those with
// the most callers get a permit first, so that a cache which starts without values soon has the ones that are read often. Within a level
// the first comes first, and each eighth permit goes to the lowest level, so that no load waits for ever. Background loads have a queue of
// their own, and get a permit when no other load waits. Not golang.org/x/sync/semaphore: that has one queue without a bound, in order, in
// which no load can be admitted before the first.
type Permits struct {
	most   int // how many loads may run
	length int // of each of the two queues, at most
	behind int // how many background loads there may be

	mu         sync.Mutex
	running    int // more than most if some were admitted beyond the limit
	background int
	waiting    int               // callers' loads in the queue
	queue      [levels]list.List // of *Permit: of callers' loads, by level. Empty while a permit is free
	later      list.List         // of *Permit: of background loads. Empty while a permit is free
	turns      uint              // how many loads got their permit from the queue
}

// Permit is a load's permit, or its position in the queue. The zero Permit has neither. It belongs to one goroutine, except that calls
// which join its load's flights raise it.
type Permit struct {
	all      *Permits // nil before Acquire
	standing Standing
	behind   bool // it counts as a background load
	level    int  // of the flight that has had the most callers
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
	if p.all == nil {
		p.all = s
	}
	switch {
	case p.standing != NoPermit:
	case s.running < s.most:
		s.take(p)
	case background && s.later.Len() < s.length:
		s.wait(p, &s.later)
	case !background && s.waiting < s.length:
		s.wait(p, &s.queue[p.level])
	}
	return p.standing
}

// wait puts the load into a queue. The caller holds the lock.
func (s *Permits) wait(p *Permit, queue *list.List) {
	p.standing, p.granted = Waiting, make(chan struct{})
	s.push(p, queue)
}

// push puts a load that waits at the end of a queue. The caller holds the lock.
func (s *Permits) push(p *Permit, queue *list.List) {
	p.queue, p.position = queue, queue.PushBack(p)
	if queue != &s.later {
		s.waiting++
	}
}

// remove takes a load that waits out of its queue. The caller holds the lock.
func (s *Permits) remove(p *Permit) {
	p.queue.Remove(p.position)
	if p.queue != &s.later {
		s.waiting--
	}
}

// raise moves a load that waits to the level of that many callers, unless it is in that or a higher one. A p of nil is allowed.
func (p *Permit) raise(callers int) {
	if p == nil || p.all == nil {
		return
	}
	s := p.all
	s.mu.Lock()
	defer s.mu.Unlock()
	level := min(bits.Len(uint(callers)), levels) - 1
	if level <= p.level {
		return
	}
	p.level = level
	if p.standing == Waiting && p.queue != &s.later {
		s.remove(p)
		s.push(p, &s.queue[level])
	}
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
		s.remove(p)
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
		s.remove(p)
	case Held:
		s.running--
	}
	p.standing = NoPermit
	for s.running < s.most && s.waiting+s.later.Len() > 0 {
		next := s.next()
		s.remove(next)
		s.take(next)
		close(next.granted)
	}
}

// next returns the load that gets the next permit. The caller holds the lock.
func (s *Permits) next() *Permit {
	from := &s.later
	if s.waiting > 0 {
		s.turns++
		for i := range s.queue {
			if s.queue[i].Len() == 0 {
				continue
			}
			if from = &s.queue[i]; s.turns%fairTurn == 0 {
				break
			}
		}
	}
	return from.Front().Value.(*Permit)
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
	return s.running, s.waiting + s.later.Len()
}
