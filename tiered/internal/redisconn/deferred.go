package redisconn

import "sync"

// deferredCalls are functions that must be called without a lock, in the order in which they were added with it. They write to
// the log or call code of the user, which may call back, for the Status, say.
type deferredCalls struct {
	mu      sync.Mutex
	queue   []func()
	running bool // in one goroutine
}

func (d *deferredCalls) add(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, f)
}

// run calls the functions, unless another goroutine does: then that one calls all.
func (d *deferredCalls) run() {
	for f := d.next(false); f != nil; f = d.next(true) {
		f()
	}
}

// next returns the next function for the goroutine that calls them, or nil. mine: that is the caller already.
func (d *deferredCalls) next(mine bool) (f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running && !mine {
		return nil
	}
	if d.running = len(d.queue) > 0; !d.running {
		return nil
	}
	f, d.queue = d.queue[0], d.queue[1:]
	return f
}
