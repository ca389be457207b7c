package tiered

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that there is no value. Get and Lookup return it on a miss; GetOrLoad, Refresh, Get and
	// Lookup return it for a key whose absence is remembered ([Policy].NotFoundTTL). A [Loader] returns it, bare
	// or wrapped, to say that the source has no such value.
	ErrNotFound = errors.New("tiered: not found")

	// ErrClosed is returned by every method of a closed [Cache], and by a load that Close cut short. The methods
	// of a cache whose [Redis] was closed return it from writes.
	ErrClosed = errors.New("tiered: closed")
)

var (
	errNoLoader  = errors.New("tiered: the loader is nil")
	errNoKey     = errors.New("tiered: the key function is nil")
	errOwnKey    = errors.New("tiered: a loader asked for the key it is loading")
	errGoexit    = errors.New("tiered: the loader ended its goroutine with runtime.Goexit")
	errEmptyKey  = errors.New("tiered: the key is empty")
	errTurnTaken = errors.New("tiered: redis: another write of the key is still under way")
)

// LoaderPanic is the value with which GetOrLoad, Refresh and GetOrLoadMany panic when the loader they waited for
// panicked. The loader ran in a goroutine of the cache's own, so the stack is kept here.
type LoaderPanic struct {
	Value any    // what the loader panicked with
	Stack []byte // of the loader's goroutine
}

// Error describes the panic with the loader's stack.
func (p *LoaderPanic) Error() string {
	return fmt.Sprintf("tiered: the loader panicked: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns the value that the loader panicked with if it is an error, else nil.
func (p *LoaderPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}
