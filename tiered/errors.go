package tiered

import (
	"errors"
	"fmt"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

var (
	// ErrNotFound says that there is no value. Get and Lookup return it on a miss; GetOrLoad, Refresh, Get and
	// Lookup return it for a key whose absence is remembered ([Policy].NotFoundTTL). A [Loader] returns it, bare
	// or wrapped, to say that the source has no such value.
	ErrNotFound = errors.New("tiered: not found")

	// ErrClosed is returned by every method of a closed [Cache], and by a load that Close cut short. Writes to a cache
	// whose [Redis] was closed return it, too.
	ErrClosed = redisconn.ErrClosed

	// ErrQueued is wrapped, with the cause, by the errors of Set, SetMany, Delete, Expire, InvalidateTags and Clear if Redis
	// couldn't be written, or didn't say whether it was. This process's local tier has the change, and Redis's old value is
	// invalidated when Redis is back: a queued Set doesn't write its value then, but deletes Redis's, unless that is newer
	// by more than clocks may differ. A cache queues up to 10,000 keys and 1,000 tags; a Clear replaces the queue when there
	// are more. Changes that are still queued when the process ends are lost. Other processes then serve Redis's old values
	// until their TTL, and the time for which they are served stale, is over. [Cache].Close makes one more attempt.
	ErrQueued = errors.New("tiered: queued until redis is back")

	// ErrOverloaded is wrapped by the errors of GetOrLoad, Refresh, GetOrLoadMany and GetOrLoadEntries if a value would have to
	// be loaded, and there was no permit for the load ([Options].MaxLoads): at once if the queue of waiting loads was full; after
	// [Policy].LoadTimeout, with context.DeadlineExceeded, if the load's turn hadn't come by then. Where StaleIfError permits it,
	// the stale value is returned instead.
	ErrOverloaded = errors.New("tiered: overloaded")

	// ErrNotHeld is wrapped, with the cause, by the errors of [Cache.Hold] if Redis couldn't be written, or didn't say whether it was.
	// Its other errors are ErrClosed and those of wrong arguments.
	ErrNotHeld = errors.New("tiered: not held")
)

var (
	errNoLoader  = errors.New("tiered: the loader is nil")
	errNoKey     = errors.New("tiered: the key function is nil")
	errOwnKey    = errors.New("tiered: a loader asked for the key it is loading")
	errAbandoned = errors.New("tiered: all callers left before the load began")
	errGoexit    = errors.New("tiered: the loader, or a method of a value, ended the goroutine with runtime.Goexit")
	errNotMade   = errors.New("tiered: the Redis wasn't made by NewRedis")
	errEmptyKey  = errors.New("tiered: the key is empty")
)

// LoaderPanic is the value with which GetOrLoad and Refresh panic when the loader they waited for panicked, and GetOrLoadMany
// and GetOrLoadEntries when their own did. The loader ran in a goroutine of the cache, so its stack is kept here.
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
