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
	// maxBackground is how many background loads may run at a time without a limit of loads.
	maxBackground = 64
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
	most           int // how many loads may run
	mostBackground int // how many of them may be background loads
	length         int // of each of the two queues, at most

	mu         sync.Mutex
	running    int               // more than most if some were admitted beyond the limit
	refreshing int               // the background loads among them
	background int               // background loads that haven't ended
	waiting    int               // callers' loads in the queue
	queue      [levels]list.List // of *Permit: of callers' loads, by level. Empty while a permit is free
	later      list.List         // of *Permit: of background loads. Empty while one may run
	turns      uint              // how many loads got their permit from the queue
}

// Permit is a load's permit, or its position in the queue. The zero Permit has neither. It belongs to one goroutine, except that calls
// which join its load's flights raise it.
type Permit struct {
	all        *Permits // nil before Acquire
	standing   Standing
	background bool // it is of a background load that hasn't ended
	level      int  // of the flight that has had the most callers
	granted    chan struct{}
	queue      *list.List // nil unless it waits
	position   *list.Element
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
	ps := &Permits{most: most, mostBackground: max(1, most/4)}
	if most < 0 {
		ps.most, ps.mostBackground = math.MaxInt, maxBackground
	}
	ps.length = min(ps.most, math.MaxInt/queuePerPermit) * queuePerPermit
	return ps
}

// Acquire takes a permit for a load that has none if one is free, and otherwise puts it into the queue unless that is full. It returns the
// load's standing.
func (ps *Permits) Acquire(p *Permit) Standing {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.all == nil {
		p.all = ps
	}
	switch {
	case p.standing != NoPermit:
	case ps.running < ps.most && (!p.background || ps.refreshing < ps.mostBackground):
		ps.take(p)
	case p.background && ps.later.Len() < ps.length:
		ps.wait(p, &ps.later)
	case !p.background && ps.waiting < ps.length:
		ps.wait(p, &ps.queue[p.level])
	}
	return p.standing
}

// AcquireFree takes a permit for a load that has none if one is free, and reports whether it did. It doesn't use the queue.
func (ps *Permits) AcquireFree(p *Permit) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.standing != NoPermit || ps.running >= ps.most {
		return false
	}
	p.all = ps
	ps.take(p)
	return true
}

// wait puts the load into a queue. The caller holds the lock.
func (ps *Permits) wait(p *Permit, queue *list.List) {
	p.standing, p.granted = Waiting, make(chan struct{})
	ps.push(p, queue)
}

// push puts a load that waits at the end of a queue. The caller holds the lock.
func (ps *Permits) push(p *Permit, queue *list.List) {
	p.queue, p.position = queue, queue.PushBack(p)
	if queue != &ps.later {
		ps.waiting++
	}
}

// remove takes a load that waits out of its queue. The caller holds the lock.
func (ps *Permits) remove(p *Permit) {
	p.queue.Remove(p.position)
	if p.queue != &ps.later {
		ps.waiting--
	}
}

// raise moves a load that waits to the level of that many callers, unless it is in that or a higher one. A p of nil is allowed.
func (p *Permit) raise(callers int) {
	if p == nil || p.all == nil {
		return
	}
	ps := p.all
	ps.mu.Lock()
	defer ps.mu.Unlock()
	level := min(bits.Len(uint(callers)), levels) - 1
	if level <= p.level {
		return
	}
	p.level = level
	if p.standing == Waiting && p.queue != &ps.later {
		ps.remove(p)
		ps.push(p, &ps.queue[level])
	}
}

// AcquireBackground takes a permit for a background load. It reports false if none is free, or if a quarter of all permits is for
// background loads that haven't ended.
func (ps *Permits) AcquireBackground() (p Permit, ok bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.running >= ps.most || ps.background >= ps.mostBackground {
		return Permit{}, false
	}
	p.background = true
	ps.background++
	ps.take(&p)
	return p, true
}

// Split returns the zero permit of a load that takes over some of p's flights. It is a background load if p's is.
func (ps *Permits) Split(p *Permit) Permit {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.background {
		ps.background++
	}
	return Permit{background: p.background}
}

// Admit gives the load a permit at once, beyond the limit if none is free.
func (ps *Permits) Admit(p *Permit) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.standing == Waiting {
		ps.remove(p)
	}
	if p.standing != Held {
		ps.take(p)
	}
}

// take gives the load a permit. The caller holds the lock.
func (ps *Permits) take(p *Permit) {
	p.standing = Held
	ps.running++
	if p.background {
		ps.refreshing++
	}
}

// Release gives back the load's permit, or its position in the queue. It does nothing if the load has neither.
func (ps *Permits) Release(p *Permit) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.release(p)
}

// release is Release for a caller that holds the lock.
func (ps *Permits) release(p *Permit) {
	switch p.standing {
	case Waiting:
		ps.remove(p)
	case Held:
		ps.running--
		if p.background {
			ps.refreshing--
		}
	}
	p.standing = NoPermit
	for next := ps.next(); next != nil; next = ps.next() {
		ps.remove(next)
		ps.take(next)
		close(next.granted)
	}
}

// next returns the load that gets the next permit, or nil. The caller holds the lock.
func (ps *Permits) next() *Permit {
	var from *list.List
	switch {
	case ps.running >= ps.most:
		return nil
	case ps.waiting > 0:
		ps.turns++
		for i := range ps.queue {
			if ps.queue[i].Len() == 0 {
				continue
			}
			if from = &ps.queue[i]; ps.turns%fairTurn == 0 {
				break
			}
		}
	case ps.later.Len() > 0 && ps.refreshing < ps.mostBackground:
		from = &ps.later
	default:
		return nil
	}
	return from.Front().Value.(*Permit)
}

// End is Release for a load that is over. A background load counts as one until then, also while it has no permit.
func (ps *Permits) End(p *Permit) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.release(p)
	if p.background {
		p.background = false
		ps.background--
	}
}

// Granted returns a channel that is closed when the load, which waits, gets its permit.
func (p *Permit) Granted() <-chan struct{} { return p.granted }

// Count returns how many loads have a permit, and how many wait for one.
func (ps *Permits) Count() (running, waiting int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.running, ps.waiting + ps.later.Len()
}
