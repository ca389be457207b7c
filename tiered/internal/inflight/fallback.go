package inflight

import (
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/local"
)

// Fallback is an item that a flight's callers may get in place of its result, if their policy allows it: one past its TTL, or one of
// the local tier whose validity is unknown because Redis can't be read.
type Fallback[T any] struct {
	*local.Item[T]
	Origin Origin
}

// Origin is where a fallback was found.
type Origin uint8

const (
	FromLocal      Origin = iota // in the local tier; it was valid, or Redis didn't answer
	FromRemote                   // in Redis
	FromUnverified               // in the local tier, after Redis couldn't be read
)

// fallbacks holds the fallback of a flight.
type fallbacks[T any] struct {
	last    atomic.Pointer[Fallback[T]]
	offered Latch // set with the first one
}

// Offer makes the item the flight's fallback. The goroutine that runs the flight calls it.
func (f *fallbacks[T]) Offer(it *local.Item[T], from Origin) {
	if f.last.Swap(&Fallback[T]{it, from}) == nil {
		f.offered.Set()
	}
}

// Fallback returns the flight's fallback, nil if it has none.
func (f *fallbacks[T]) Fallback() *Fallback[T] { return f.last.Load() }

// Offered returns a channel that is closed when the flight has a fallback.
func (f *fallbacks[T]) Offered() <-chan struct{} { return f.offered.Done() }

// ReplaceFallback puts the item in the place of a fallback's, unless there is a newer one, and returns the fallback with it.
func (f *fallbacks[T]) ReplaceFallback(old *Fallback[T], it *local.Item[T]) *Fallback[T] {
	o := &Fallback[T]{it, old.Origin}
	f.last.CompareAndSwap(old, o)
	return o
}
