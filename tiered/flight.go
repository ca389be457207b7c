package tiered

import (
	"errors"
	"runtime/debug"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// flight is one load of one key, which all callers that ask for the key meanwhile wait for.
type flight[T any] struct {
	keyRef[T]
	owner    *owner
	done     latch
	start    mono.Instant
	began    uint64        // how often this process had invalidated tags by then
	limit    time.Duration // of its load
	wake     chan struct{} // of the job that waits, see key states.listen
	fallback fallback[T]
	given    redisconn.Pending // of a read that a lookup has begun
	why      reason
	retry    bool // see call
	apart    bool // the local tier had nothing for it, just before it began
	stale    bool // what it finished with was past its TTL

	// Under the key state's lock:
	loading bool  // the loader runs
	echoes  uint8 // changes to be heard of that are the flight's own

	// Set before done happens:
	record *record.Record[T]
	err    error
	panic  *LoaderPanic
	unfit  bool // the record can't be stored
}

// reason is what a flight is for.
type reason uint8

const (
	forRead       reason = iota // whatever can be served will do
	forBackground               // in the background: what is served is to be replaced
	forRefresh                  // a caller wants what the source has now
)

// owner is who loads: the call that began a flight, or those of a batch. It has no state, only an identity.
type owner struct {
	_ byte // so that no two have one address
}

// joinOptions is room for the flights that a call begins, and for the key states of their keys: a batch has it allocated at once.
type joinOptions[T any] struct {
	owner *owner
	start mono.Instant
	limit time.Duration // of their loads: the policy's LoadTimeout
	owned bool          // the keys are the cache's own: no key state needs a copy
	size  int           // how many flights may yet begin; 0: one
	retry bool          // the call has waited for flights of others, which failed though its own may not
	room  []flightSlot[T]
}

// joins reports whether a call waits for the flight instead of beginning its own. A retry doesn't wait for a flight that may fail
// as the others did, unless it is a Refresh, whose result is to be kept.
func (fl *joinOptions[T]) joins(f *flight[T], why reason) bool {
	switch {
	case f.why == forRefresh:
		return true
	case fl.retry:
		return f.retry && f.limit >= fl.limit
	}
	return why != forRefresh
}

type flightSlot[T any] struct {
	flight flight[T]
	guard  keyState[T]
}

// maxRoom is how many flights are allocated at once: what is left of one keeps what the others brought in memory.
const maxRoom = 32

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

// finish ends the flight for its callers.
func (f *flight[T]) finish(r *record.Record[T], err error) {
	f.record, f.err = r, err
	f.done.done()
}

// finishPanicked ends the flight with what made its goroutine end early.
func (f *flight[T]) finishPanicked(err error) {
	f.panic, _ = errors.AsType[*LoaderPanic](err)
	f.finish(nil, err)
}

// panicError is the error for what was recovered: a panic, or a Goexit if that is nil. The panic of a loader that another
// loader waited for stays what it was.
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
