package tiered

import (
	"context"
	"errors"
	"runtime/debug"
)

// flight is one load of one key, which all callers that ask for the key meanwhile wait for.
type flight[T any] struct {
	hold[T]
	why   purpose
	pilot *pilot
	done  chan struct{}
	start instant
	began uint64        // how often this process had invalidated tags by then
	wake  chan struct{} // of the trip that waits, see guards.listen
	offer offer[T]

	// Under the guard's lock:
	loading bool // the loader runs
	echoes  int  // changes to be heard of that are the flight's own

	// Set before done is closed:
	record *record[T]
	err    error
	panic  *LoaderPanic
}

// purpose is what a flight is for.
type purpose uint8

const (
	asked     purpose = iota // whatever can be served will do
	renewal                  // in the background: what is served is to be replaced
	refreshed                // a caller wants what the source has now
)

// pilot is who loads: the call that began a flight, or those of a batch. It has no state, only an identity.
type pilot struct {
	_ byte // so that no two have one address
}

// land ends the flight for its callers.
func (f *flight[T]) land(r *record[T], err error) {
	f.record, f.err = r, err
	close(f.done)
}

// crash ends the flight with what made its goroutine end early.
func (f *flight[T]) crash(err error) {
	f.panic, _ = errors.AsType[*LoaderPanic](err)
	f.land(nil, err)
}

// newCrash is the error for what was recovered: a panic, or a Goexit if that is nil. The panic of a loader that another
// loader waited for stays what it was.
func newCrash(recovered any) error {
	switch p := recovered.(type) {
	case nil:
		return errGoexit
	case *LoaderPanic:
		return p
	}
	return &LoaderPanic{Value: recovered, Stack: debug.Stack()}
}

func (f *flight[T]) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// loadContext is the context of a load: it ends with the load's time or the cache, and has the values of the caller
// that began it. (context.WithoutCancel with a timeout would need a goroutine more to end with the cache.)
type loadContext struct {
	context.Context
	caller context.Context
	pilot  *pilot
}

type pilotKey struct{}

func (c *loadContext) Value(key any) any {
	if _, ok := key.(pilotKey); ok {
		return c
	}
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.caller.Value(key)
}

// within answers whether ctx comes from a loader that p runs, or from one that such a loader waits for: to wait there
// for p would be to wait for oneself.
func (p *pilot) within(ctx context.Context) bool {
	for {
		c, ok := ctx.Value(pilotKey{}).(*loadContext)
		if !ok {
			return false
		}
		if c.pilot == p {
			return true
		}
		ctx = c.caller
	}
}
