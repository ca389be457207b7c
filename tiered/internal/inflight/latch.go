package inflight

import (
	"sync"
	"sync/atomic"
)

// Latch is an event that happens once. Its channel is made only when a goroutine waits for it.
type Latch struct {
	set     atomic.Bool
	mu      sync.Mutex
	channel chan struct{} // nil until a goroutine asks for it
}

// closed is the channel of all latches that are set.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// IsSet reports whether the event has happened.
func (l *Latch) IsSet() bool { return l.set.Load() }

// Set makes the event happen. It panics if the event has already happened.
func (l *Latch) Set() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set.Swap(true) {
		panic("tiered: a latch was set twice")
	}
	if l.channel != nil {
		close(l.channel)
	}
}

// Done returns a channel that is closed when the event has happened.
func (l *Latch) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.set.Load():
		return closed
	case l.channel == nil:
		l.channel = make(chan struct{})
	}
	return l.channel
}
