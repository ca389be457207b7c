package tiered

import (
	"sync"
	"sync/atomic"
)

// latch is an event that happens once. Its channel is made only when a goroutine waits for it.
type latch struct {
	over    atomic.Bool
	mu      sync.Mutex
	channel chan struct{} // nil until a goroutine asks for it
}

// past is the closed channel of all latches that are done.
var past = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (e *latch) isDone() bool { return e.over.Load() }

// done makes the event happen. It panics if the event has already happened.
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
