package redisconn

import (
	"sync"
	"sync/atomic"
)

// Lifecycle counts goroutines. After Close it refuses new ones, and Wait returns when the last has ended.
type Lifecycle struct {
	mu      sync.Mutex
	closed  atomic.Bool     // set under mu
	idle    []chan<- Runner // of the goroutines of Run that have nothing to run
	running sync.WaitGroup
}

// Runner is what a Lifecycle runs.
type Runner interface{ Run() }

// maxIdle is how many goroutines wait for the next Run.
const maxIdle = 4

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

// Run is Go for a short r. The goroutine that runs it may have run another: its stack has grown already.
func (l *Lifecycle) Run(r Runner) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch n := len(l.idle); {
	case l.closed.Load():
		return false
	case n > 0:
		l.idle[n-1] <- r
		l.idle = l.idle[:n-1]
	default:
		l.running.Add(1)
		go l.work(r)
	}
	return true
}

// work runs r, and then what else there is to run, unless enough others wait for it, or r ends the goroutine.
func (l *Lifecycle) work(r Runner) {
	defer l.End()
	next := make(chan Runner, 1)
	for ok := true; ok; r, ok = <-next {
		r.Run()
		if !l.rest(next) {
			return
		}
	}
}

// rest has next get what is to be run, or closed by Close. It returns false if the goroutine isn't needed any more.
func (l *Lifecycle) rest(next chan<- Runner) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() || len(l.idle) == maxIdle {
		return false
	}
	l.idle = append(l.idle, next)
	return true
}

// Closed reports whether Close was called.
func (l *Lifecycle) Closed() bool { return l.closed.Load() }

// Close refuses new goroutines. It returns false if it was called before.
func (l *Lifecycle) Close() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, next := range l.idle {
		close(next)
	}
	l.idle = nil
	return !l.closed.Swap(true)
}

// Wait returns when no goroutine is left.
func (l *Lifecycle) Wait() { l.running.Wait() }
