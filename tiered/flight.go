package tiered

import (
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/tiers"
)

type (
	flight[T any]      = inflight.Flight[T, flightState]
	keyRef[T any]      = inflight.Ref[T, flightState]
	keyTable[T any]    = inflight.Table[T, flightState]
	joinOptions[T any] = inflight.JoinOptions[T, flightState]
	task[T any]        = tiers.Task[T, flightState]
	claims[T any]      = tiers.Claims[T, flightState]
)

// The packages inflight and tiers know nothing of what a flight is for. These are their types with what this package keeps of a
// flight: where its lookup got to.

// flightState is what the cache keeps of a flight.
type flightState struct {
	began   uint64                          // how often this process had invalidated tags when the flight began
	started redisconn.Pending               // a read that a lookup has started
	asked   mono.Instant                    // when the read that may find its value was sent, or a moment before
	stale   bool                            // its result was past its TTL
	loadCtx atomic.Pointer[context.Context] // of its load, for Trace.WaitDone

	// Set before the flight finishes:
	current    mono.Instant // until when a call could join it and take its value, see outlived; 0: always
	panicked   bool         // its error is a *LoaderPanic of its own loader
	unstorable bool         // the record can't be stored
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
