package inflight

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// Flight is one load of one key. All callers that ask for the key during the load wait for it. State is the caller's own: the
// package doesn't look at it.
type Flight[T, S any] struct {
	Ref[T, S]
	Owner  *Owner
	Start  mono.Instant
	Limit  time.Duration // the longest time that its load may take
	Wake   chan struct{} // wakes the goroutine that runs the flight, see Table.Listen
	Reason Reason
	State  S
	fallbacks[T]

	// Set before Done is closed:
	Record *record.Record[T]
	Err    error

	retry bool // see JoinOptions
	done  Latch

	// Guarded by the key state's lock:
	loading   bool          // the loader runs
	ownEvents uint8         // how many reports of the flight's own changes are still to come
	urgent    bool          // see JoinOptions
	callers   int           // how many calls have joined it, less those that gave up
	waiter    chan struct{} // wakes the goroutine that waits for a permit for the flight; nil if none has
	permit    *Permit       // of the load that waits; nil if none has
}

// Reason is the purpose of a flight.
type Reason uint8

const (
	ForRead       Reason = iota // a caller wants any value that can be served
	ForBackground               // a background load replaces a value that is being served
	ForRefresh                  // a caller wants the source's current value
)

// Finish sets the flight's result and wakes its callers.
func (f *Flight[T, S]) Finish(r *record.Record[T], err error) {
	f.Record, f.Err = r, err
	f.done.Set()
}

// Finished reports whether the flight has its result.
func (f *Flight[T, S]) Finished() bool { return f.done.IsSet() }

// Wait returns when the flight has its result, or ctx ends.
func (f *Flight[T, S]) Wait(ctx context.Context) {
	if f.Finished() {
		return
	}
	end := ctx.Done()
	if end == nil { // a receive takes less than a select
		<-f.Done()
		return
	}
	select {
	case <-f.Done():
	case <-end:
	}
}

// Done returns a channel that is closed when the flight has its result.
func (f *Flight[T, S]) Done() <-chan struct{} { return f.done.Done() }

// joined counts a call that joins the flight. The caller holds the shard's lock.
func (f *Flight[T, S]) joined(o *JoinOptions[T, S]) {
	f.callers++
	if f.callers&(f.callers-1) == 0 { // the callers of the next level
		f.permit.raise(f.callers)
	}
	if o.Urgent && !f.urgent {
		f.urgent = true
		f.notify()
	}
}

// notify wakes the goroutine that waits for a permit. The caller holds the shard's lock.
func (f *Flight[T, S]) notify() {
	select {
	case f.waiter <- struct{}{}:
	default: // nobody waits, or it was notified already
	}
}

// JoinOptions describes a call that joins or begins flights. It also allocates the flights and their key states, for a batch many
// at a time.
type JoinOptions[T, S any] struct {
	Owner     *Owner // of new flights; nil: each has one of its own
	Start     mono.Instant
	Limit     time.Duration // of the loads of new flights
	Size      int           // how many more flights may begin; 0 means one
	OwnedKeys bool          // the keys are the cache's own copies
	Retry     bool          // the call has waited in vain for flights of other callers
	Urgent    bool          // the call is a running load's: a flight that it joins must not wait for a permit until a load ends

	slots []slot[T, S]
}

// joins reports whether a call waits for the flight instead of beginning its own. A retry waits only for another retry that has
// at least its time limit, or for a refresh, whose newer result must not be superseded.
func (o *JoinOptions[T, S]) joins(f *Flight[T, S], why Reason) bool {
	switch {
	case f.Reason == ForRefresh:
		return true
	case o.Retry:
		return f.retry && f.Limit >= o.Limit
	}
	return why != ForRefresh
}

// slot is a flight and the state of its key, allocated together.
type slot[T, S any] struct {
	flight Flight[T, S]
	state  keyState[T, S]
}

// maxSlots limits how many flights are allocated at once: one that is still in use keeps the values of all in memory.
const maxSlots = 32

// slot returns an unused slot.
func (o *JoinOptions[T, S]) slot() *slot[T, S] {
	if len(o.slots) == 0 {
		if o.Size <= 1 {
			return new(slot[T, S])
		}
		o.slots = make([]slot[T, S], min(o.Size, maxSlots))
	}
	b := &o.slots[0]
	o.slots = o.slots[1:]
	o.Size--
	return b
}
