package tiered

import (
	"sync"
	"sync/atomic"
)

// latch happens once. Its channel is only made if somebody waits for it.
type latch struct {
	over    atomic.Bool
	mu      sync.Mutex
	channel chan struct{} // nil: nobody has asked
}

var past = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (e *latch) isDone() bool { return e.over.Load() }

// done panics if the event has happened.
func (e *latch) done() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over.Swap(true) {
		panic("tiered: an event happened twice")
	}
	if e.channel != nil {
		close(e.channel)
	}
}

// channelOf returns a channel that is closed when the event has happened.
func (e *latch) channelOf() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.over.Load():
		return past
	case e.channel == nil:
		e.channel = make(chan struct{})
	}
	return e.channel
}
