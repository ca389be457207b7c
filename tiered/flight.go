package tiered

import (
	"errors"
	"runtime/debug"
)

// flight is one load of one key, which all callers that ask for the key meanwhile wait for.
type flight[T any] struct {
	hold[T]
	why   purpose
	pilot *pilot
	done  event
	start instant
	began uint64        // how often this process had invalidated tags by then
	wake  chan struct{} // of the trip that waits, see guards.listen
	offer offer[T]
	given share // of a read that a glance has begun

	// Under the guard's lock:
	loading bool // the loader runs
	echoes  int  // changes to be heard of that are the flight's own

	// Set before done happens:
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
	f.done.happen()
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

func (f *flight[T]) landed() bool { return f.done.happened() }
