package tiered

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// loadContext is the context of a load. It ends after the load's time or when the cache closes, and has the values of the caller
// that began it. The standard library would need several nested contexts for this, which are half of the cost of a miss.
type loadContext struct {
	context.Context // has the caller's values
	caller          context.Context
	pilot           *owner
	deadline        time.Time
	timer           *time.Timer
	overdue         func() // called when the context ends before the load
	over            latch
	err             error // set before over is done

	mu    sync.Mutex
	ended bool
	after map[*func()]struct{}

	// Guarded by loads.mu:
	loads    *loads
	previous *loadContext
	next     *loadContext
}

// loads is the list of the contexts of a cache's running loads.
type loads struct {
	mu     sync.Mutex
	closed bool
	first  *loadContext
}

// begin returns a new context for a load of the owner p. If the context ends before done is called, it calls overdue.
func (ls *loads) begin(caller context.Context, p *owner, timeout time.Duration, overdue func()) *loadContext {
	c := &loadContext{
		Context: context.WithoutCancel(caller), caller: caller, pilot: p,
		deadline: time.Now().Add(timeout), overdue: overdue, loads: ls,
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		go c.interrupt(context.Canceled)
		return c
	}
	if c.next = ls.first; c.next != nil {
		c.next.previous = c
	}
	ls.first = c
	c.timer = time.AfterFunc(timeout, func() { c.interrupt(context.DeadlineExceeded) })
	return c
}

// close ends the contexts of all running loads, and of those that begin later.
func (ls *loads) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for c := ls.first; c != nil; c = c.next {
		go c.interrupt(context.Canceled)
	}
}

// done ends the context after its load has ended.
func (c *loadContext) done() {
	ls := c.loads
	ls.mu.Lock()
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.next != nil {
		c.next.previous = c.previous
	}
	if c.previous != nil {
		c.previous.next = c.next
	} else if ls.first == c {
		ls.first = c.next
	}
	ls.mu.Unlock()
	c.end(context.Canceled)
}

// interrupt ends the context before its load has ended.
func (c *loadContext) interrupt(err error) {
	if c.end(err) {
		c.overdue()
	}
}

// end ends the context with err. It returns false if the context had already ended.
func (c *loadContext) end(err error) bool {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return false
	}
	c.ended, c.err = true, err
	after := c.after
	c.after = nil // it is too late to stop these functions
	c.mu.Unlock()
	c.over.done()
	for f := range after {
		go (*f)()
	}
	return true
}

func (c *loadContext) Deadline() (time.Time, bool) { return c.deadline, true }

func (c *loadContext) Done() <-chan struct{} { return c.over.channelOf() }

func (c *loadContext) Err() error {
	if !c.over.isDone() {
		return nil
	}
	return c.err
}

// String lets fmt print the context. Without it fmt would read the fields, and range over a map that other goroutines write.
func (c *loadContext) String() string {
	return fmt.Sprint(c.Context, ".WithDeadline(", c.deadline, ")")
}

// ownerKey is the key of the loadContext among its own values.
type ownerKey struct{}

// Value returns the context itself for an ownerKey, else the caller's value.
func (c *loadContext) Value(key any) any {
	if _, ok := key.(ownerKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// AfterFunc calls f when the context ends. Contexts derived from this one use it instead of a goroutine each.
func (c *loadContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		go f()
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = make(map[*func()]struct{})
	}
	c.after[&f] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, waits := c.after[&f]
		delete(c.after, &f)
		return waits
	}
}

// within reports whether ctx belongs to a load of p, or to a load begun by such a load's loader, at any depth. A caller with that
// ctx must not wait for p's flights: it would wait for itself.
func (p *owner) within(ctx context.Context) bool {
	for {
		c, ok := ctx.Value(ownerKey{}).(*loadContext)
		if !ok {
			return false
		}
		if c.pilot == p {
			return true
		}
		ctx = c.caller
	}
}
