package tiered

import (
	"errors"
	"runtime/debug"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// flight is one load of one key. All callers that ask for the key during the load wait for it.
type flight[T any] struct {
	keyRef[T]
	owner    *owner
	done     latch
	start    mono.Instant
	began    uint64        // how often this process had invalidated tags when the flight began
	limit    time.Duration // the LoadTimeout of its load
	wake     chan struct{} // wakes the job that waits; see keyTable.listen
	fallback fallback[T]
	given    redisconn.Pending // a read that a lookup has started
	why      reason
	retry    bool // see joinOptions
	apart    bool // the local tier had no item for it just before it began
	stale    bool // its result was past its TTL

	// Guarded by the key state's lock:
	loading bool  // the loader runs
	echoes  uint8 // how many reports of the flight's own changes are still to come

	// Set before done happens:
	record *record.Record[T]
	err    error
	panic  *LoaderPanic
	unfit  bool // the record can't be stored
}

// reason is the purpose of a flight.
type reason uint8

const (
	forRead       reason = iota // a caller wants any value that can be served
	forBackground               // a background load replaces a value that is being served
	forRefresh                  // a caller wants the source's current value
)

// owner identifies the call that began a flight, or all flights of a batch. It has no state, only an identity.
type owner struct {
	_ byte // gives each owner its own address
}

// joinOptions describes a call that joins or begins flights. It also allocates the flights and their key states, for a batch many
// at a time.
type joinOptions[T any] struct {
	owner *owner
	start mono.Instant
	limit time.Duration // the policy's LoadTimeout, for the loads of new flights
	owned bool          // the keys are the cache's own copies
	size  int           // how many more flights may begin; 0 means one
	retry bool          // the call has waited in vain for flights of other callers
	room  []flightSlot[T]
}

// joins reports whether a call waits for the flight instead of beginning its own. A retry waits only for another retry that has
// at least its time limit, or for a Refresh, whose newer result must not be superseded.
func (fl *joinOptions[T]) joins(f *flight[T], why reason) bool {
	switch {
	case f.why == forRefresh:
		return true
	case fl.retry:
		return f.retry && f.limit >= fl.limit
	}
	return why != forRefresh
}

// flightSlot is a flight and the key state of its key, allocated together.
type flightSlot[T any] struct {
	flight flight[T]
	guard  keyState[T]
}

// maxRoom limits how many flights are allocated at once: one that is still in use keeps the values of all in memory.
const maxRoom = 32

// berth returns an unused slot.
func (fl *joinOptions[T]) berth() *flightSlot[T] {
	if len(fl.room) == 0 {
		if fl.size <= 1 {
			return new(flightSlot[T])
		}
		fl.room = make([]flightSlot[T], min(fl.size, maxRoom))
	}
	b := &fl.room[0]
	fl.room = fl.room[1:]
	fl.size--
	return b
}

// finish sets the flight's result and wakes its callers.
func (f *flight[T]) finish(r *record.Record[T], err error) {
	f.record, f.err = r, err
	f.done.done()
}

// finishPanicked ends the flight with the error of a panic or a Goexit.
func (f *flight[T]) finishPanicked(err error) {
	f.panic, _ = errors.AsType[*LoaderPanic](err)
	f.finish(nil, err)
}

// panicError returns the error for a recovered value; nil means a Goexit. A *LoaderPanic, from a loader that another loader
// waited for, is returned unchanged.
func panicError(recovered any) error {
	switch p := recovered.(type) {
	case nil:
		return errGoexit
	case *LoaderPanic:
		return p
	}
	return &LoaderPanic{Value: recovered, Stack: debug.Stack()}
}

func (f *flight[T]) finished() bool { return f.done.isDone() }
