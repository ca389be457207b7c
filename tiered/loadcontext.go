package tiered

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// loadContext is the context of a load: it ends with the load's time or the cache, and has the values of the caller that
// began it. It is our own because those of the standard library, one for each of these, are half of what a miss costs.
type loadContext struct {
	context.Context // the values
	caller          context.Context
	pilot           *owner
	deadline        time.Time
	timer           *time.Timer
	overdue         func() // called when it ends though the load hasn't
	over            latch
	err             error // set before over

	mu    sync.Mutex
	ended bool
	after map[*func()]struct{}

	// Under the lock of the loads:
	loads    *loads
	previous *loadContext
	next     *loadContext
}

// loads are the contexts of a cache's loads.
type loads struct {
	mu     sync.Mutex
	closed bool
	first  *loadContext
}

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

// close ends all that have begun, and those that will.
func (ls *loads) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for c := ls.first; c != nil; c = c.next {
		go c.interrupt(context.Canceled)
	}
}

// done ends the context of a load that is over.
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

func (c *loadContext) interrupt(err error) {
	if c.end(err) {
		c.overdue()
	}
}

// end answers false if the context had ended.
func (c *loadContext) end(err error) bool {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return false
	}
	c.ended, c.err = true, err
	after := c.after
	c.after = nil // who stops one from now on is too late
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

// String is for who prints contexts: without it fmt reads the fields, and ranges over a map that others write.
func (c *loadContext) String() string {
	return fmt.Sprint(c.Context, ".WithDeadline(", c.deadline, ")")
}

type ownerKey struct{}

func (c *loadContext) Value(key any) any {
	if _, ok := key.(ownerKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// AfterFunc is what the contexts made of this one use instead of a goroutine each.
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

// within reports whether ctx comes from a loader that p runs, or from one that such a loader waits for: to wait there
// for p would be to wait for oneself.
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
