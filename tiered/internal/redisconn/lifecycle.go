package redisconn

import (
	"sync"
	"sync/atomic"
)

// Lifecycle owns goroutines: it refuses new ones once it is over, and knows when the last has ended.
type Lifecycle struct {
	mu      sync.Mutex
	over    atomic.Bool // set under mu
	running sync.WaitGroup
}

// Begin counts one more goroutine, or answers false when the lifetime is over.
func (l *Lifecycle) Begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over.Load() {
		return false
	}
	l.running.Add(1)
	return true
}

func (l *Lifecycle) End() { l.running.Done() }

func (l *Lifecycle) Over() bool { return l.over.Load() }

// Close ends the lifetime; it answers false if it was over already.
func (l *Lifecycle) Close() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.over.Swap(true)
}

func (l *Lifecycle) Wait() { l.running.Wait() }
