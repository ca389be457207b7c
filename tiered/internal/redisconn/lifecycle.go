package redisconn

import (
	"sync"
	"sync/atomic"
)

// Lifecycle counts goroutines. After Close it refuses new ones, and Wait returns when the last has ended.
type Lifecycle struct {
	mu      sync.Mutex
	closed  atomic.Bool // set under mu
	running sync.WaitGroup
}

// Begin counts one more goroutine. It returns false after Close.
func (l *Lifecycle) Begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return false
	}
	l.running.Add(1)
	return true
}

// End ends what Begin began.
func (l *Lifecycle) End() { l.running.Done() }

// Go runs f in a goroutine that Wait waits for. It returns false after Close, without running it.
func (l *Lifecycle) Go(f func()) bool {
	if !l.Begin() {
		return false
	}
	go func() {
		defer l.End()
		f()
	}()
	return true
}

// Closed reports whether Close was called.
func (l *Lifecycle) Closed() bool { return l.closed.Load() }

// Close refuses new goroutines. It returns false if it was called before.
func (l *Lifecycle) Close() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed.Swap(true)
}

// Wait returns when no goroutine is left.
func (l *Lifecycle) Wait() { l.running.Wait() }
