package invalidation

import "sync"

// signal wakes the goroutines that wait for its next occurrence.
type signal struct {
	mu      sync.Mutex
	channel chan struct{} // nil: nobody waits
}

// next returns a channel that is closed with the next send.
func (g *signal) next() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.channel == nil {
		g.channel = make(chan struct{})
	}
	return g.channel
}

func (g *signal) send() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.channel != nil {
		close(g.channel)
		g.channel = nil
	}
}
