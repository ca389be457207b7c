package tiered

import (
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/tiers"
)

type (
	flight[T any]      = inflight.Flight[T, flightState[T]]
	keyRef[T any]      = inflight.Ref[T, flightState[T]]
	keyTable[T any]    = inflight.Table[T, flightState[T]]
	joinOptions[T any] = inflight.JoinOptions[T, flightState[T]]
	task[T any]        = tiers.Task[T, flightState[T]]
	claims[T any]      = tiers.Claims[T, flightState[T]]
)

// The packages inflight and tiers know nothing of what a flight is for. These are their types with what this package keeps of a flight:
// where its lookup got to, and the fallback that its callers may get.

// flightState is what the cache keeps of a flight.
type flightState[T any] struct {
	began    uint64            // how often this process had invalidated tags when the flight began
	started  redisconn.Pending // a read that a lookup has started
	fallback fallback[T]
	stale    bool                            // its result was past its TTL
	loadCtx  atomic.Pointer[context.Context] // of its load, for Trace.WaitDone

	// Set before the flight finishes:
	loaded     mono.Instant // when its own loader returned a value; 0: it didn't
	panicked   bool         // its error is a *LoaderPanic of its own loader
	unstorable bool         // the record can't be stored
}

// fallback is the value that a flight's callers may get in place of its result, if their policy allows it: a value past its TTL,
// or one of the local tier whose validity is unknown because Redis can't be read.
type fallback[T any] struct {
	last atomic.Pointer[fallbackEntry[T]]
	made inflight.Latch // done when the first entry is set
}

// fallbackEntry is an item that is served as a fallback, and where it was found.
type fallbackEntry[T any] struct {
	*local.Item[T]
	origin fallbackSource
}

// fallbackSource is where a fallback was found.
type fallbackSource uint8

const (
	fromLocal      fallbackSource = iota // in the local tier; it was valid, or Redis didn't answer
	fromRemote                           // in Redis
	fromUnverified                       // in the local tier, after Redis couldn't be read
)

// make sets the fallback. The flight's lookup or job calls it.
func (o *fallback[T]) make(it *local.Item[T], from fallbackSource) {
	if o.last.Swap(&fallbackEntry[T]{it, from}) == nil {
		o.made.Set()
	}
}

// finishPanicked ends the flight with the error of a panic or a Goexit.
func finishPanicked[T any](f *flight[T], err error) {
	_, f.State.panicked = errors.AsType[*LoaderPanic](err)
	f.Finish(nil, err)
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
