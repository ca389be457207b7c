package tiered

import (
	"sync"
	"sync/atomic"
)

// lifetime owns goroutines: it refuses new ones once it is over, and knows when the last has ended.
type lifetime struct {
	mu      sync.Mutex
	over    atomic.Bool // set under mu
	running sync.WaitGroup
}

// begin counts one more goroutine, or answers false when the lifetime is over.
func (l *lifetime) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over.Load() {
		return false
	}
	l.running.Add(1)
	return true
}

func (l *lifetime) end() { l.running.Done() }

func (l *lifetime) isOver() bool { return l.over.Load() }

// close ends the lifetime; it answers false if it was over already.
func (l *lifetime) close() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.over.Swap(true)
}

func (l *lifetime) wait() { l.running.Wait() }
