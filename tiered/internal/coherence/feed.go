package coherence

import (
	"context"
	"sync/atomic"
)

// Feed is the state of a server's invalidation stream, as far as values read from the server depend on it.
type Feed struct {
	// Current is the Validity of what is read from now on. Only the goroutine that reads the stream stores it.
	Current atomic.Pointer[Validity]
	// Unreachable is set while the server doesn't answer. Values whose Validity has run out may then be served.
	Unreachable atomic.Bool
	// names are the caches whose changes the stream reports. Like Current, only the goroutine that reads the stream stores it.
	names atomic.Pointer[Names]
	// NoEvents is set for a stream that reports nothing, so that waiters have to poll.
	NoEvents bool
	// Ask asks the server for the first bytes of a key's value, over the connection of the stream. The goroutine that reads the stream
	// calls reply with them, in order with the changes that it reports. reply must be short. It isn't called if Ask returns false, and
	// gets an error if the server refuses to answer, or the connection ends. nil: the stream can't be asked.
	Ask func(key string, length int, reply func(beginning string, err error)) bool
	// Watch makes the server report the next change of the keys, and reports whether it has confirmed that. nil: it reports all changes.
	// If not nil, it reports the next change of a key after an Ask, too.
	Watch func(ctx context.Context, keys []string) bool
}

// Names is a set of names of caches; nil: all there are. It doesn't change once others can see it.
type Names map[string]bool

// Has reports whether the name is in the set.
func (ns Names) Has(name string) bool { return ns == nil || ns[name] }

// Validity returns that of what is read from the server from now on, for the caches that Reported has.
func (f *Feed) Validity() *Validity { return f.Current.Load() }

// Reported returns the names of the caches whose changes the stream reports. A read takes the Validity first, and both before it
// is sent: a new connection stores its names before its Validity, and may have fewer.
func (f *Feed) Reported() Names {
	if names := f.names.Load(); names != nil {
		return *names
	}
	return nil
}

// SetReported stores the names of the caches whose changes the stream reports.
func (f *Feed) SetReported(names Names) { f.names.Store(&names) }
