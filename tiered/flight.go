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
	hold[T]
	pilot *pilot
	done  event
	start mono.Instant
	began uint64        // how often this process had invalidated tags by then
	limit time.Duration // of its load
	wake  chan struct{} // of the trip that waits, see guards.listen
	offer offer[T]
	given redisconn.Pending // of a read that a glance has begun
	why   purpose
	retry bool // see fleet
	apart bool // the local tier had nothing for it, just before it began
	stale bool // what it landed with was past its TTL

	// Under the guard's lock:
	loading bool  // the loader runs
	echoes  uint8 // changes to be heard of that are the flight's own

	// Set before done happens:
	record *record.Record[T]
	err    error
	panic  *LoaderPanic
	unfit  bool // the record can't be stored
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

// fleet is room for the flights that a call begins, and for the guards of their keys: a batch has it allocated at once.
type fleet[T any] struct {
	pilot *pilot
	start mono.Instant
	limit time.Duration // of their loads: the policy's LoadTimeout
	owned bool          // the keys are the cache's own: no guard needs a copy
	size  int           // how many flights may yet begin; 0: one
	retry bool          // the call has waited for flights of others, which failed though its own may not
	room  []berth[T]
}

// joins reports whether a call waits for the flight instead of beginning its own. A retry doesn't wait for a flight that may fail
// as the others did, unless it is a Refresh, whose result is to be kept.
func (fl *fleet[T]) joins(f *flight[T], why purpose) bool {
	switch {
	case f.why == refreshed:
		return true
	case fl.retry:
		return f.retry && f.limit >= fl.limit
	}
	return why != refreshed
}

type berth[T any] struct {
	flight flight[T]
	guard  guard[T]
}

// maxRoom is how many flights are allocated at once: what is left of one keeps what the others brought in memory.
const maxRoom = 32

func (fl *fleet[T]) berth() *berth[T] {
	if len(fl.room) == 0 {
		if fl.size <= 1 {
			return new(berth[T])
		}
		fl.room = make([]berth[T], min(fl.size, maxRoom))
	}
	b := &fl.room[0]
	fl.room = fl.room[1:]
	fl.size--
	return b
}

// land ends the flight for its callers.
func (f *flight[T]) land(r *record.Record[T], err error) {
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
