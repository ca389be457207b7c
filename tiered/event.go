package tiered

import (
	"sync"
	"sync/atomic"
)

// event happens once. Its channel is only made if somebody waits for it.
type event struct {
	over    atomic.Bool
	mu      sync.Mutex
	channel chan struct{} // nil: nobody has asked
}

var past = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (e *event) happened() bool { return e.over.Load() }

// happen panics if the event has happened.
func (e *event) happen() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over.Swap(true) {
		panic("tiered: an event happened twice")
	}
	if e.channel != nil {
		close(e.channel)
	}
}

// wait returns a channel that is closed when the event has happened.
func (e *event) wait() <-chan struct{} {
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
