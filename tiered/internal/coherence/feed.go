package coherence

import "sync/atomic"

// Feed is the state of a server's invalidation stream, as far as values read from the server depend on it.
type Feed struct {
	// Current is the Validity of what is read from now on. Only the goroutine that reads the stream stores it.
	Current atomic.Pointer[Validity]
	// Unreachable is set while the server doesn't answer. Values whose Validity has run out may then be served.
	Unreachable atomic.Bool
	// NoEvents is set for a stream that reports nothing, so that waiters have to poll.
	NoEvents bool
}

// Validity returns that of what is read from the server from now on.
func (f *Feed) Validity() *Validity { return f.Current.Load() }
