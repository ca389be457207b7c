package invalidation

import (
	"maps"
	"slices"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
)

// With tracking a connection reports the changes of the caches that the process has, by their names, and nothing of others.
//
// A new connection asks Redis for all names in its handshake. When a cache is opened later, the heartbeat loop asks for its name on the
// live connection, which adds it to the others, and sends a PING. The PONG proves that Redis has executed the command: an
// error would have come before it, and ends the connection. What is read of the cache from then on gets the stream's validity, since
// Redis reports each change of it that it executes after that. What was asked for earlier has none.
//
// Redis can't remove one name. That of a cache that was closed is reported, and ignored, until the connection ends.

// askedNames are the names that a connection has asked Redis to report.
type askedNames struct {
	mu      sync.Mutex
	all     coherence.Names // nil: all are reported without being asked for
	pending []pendingNames  // those in all that Redis hasn't confirmed
}

// pendingNames are confirmed by the PONG of the number.
type pendingNames struct {
	names []string
	ping  int64
}

// begin notes the names of the handshake. Redis has confirmed them when the connection is established.
func (a *askedNames) begin(names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = make(coherence.Names, len(names))
	for _, name := range names {
		a.all[name] = true
	}
}

// add notes that Redis is about to be asked, before the PING of the number, for those of the names for which it wasn't. It returns
// these.
func (a *askedNames) add(names []string, ping int64) (missing []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	missing = slices.DeleteFunc(names, a.all.Has)
	for _, name := range missing {
		a.all[name] = true
	}
	if len(missing) > 0 {
		a.pending = append(a.pending, pendingNames{missing, ping})
	}
	return missing
}

// answered takes the PONG of the number, and returns the names that it confirms.
func (a *askedNames) answered(pong int64) (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.pending) > 0 && a.pending[0].ping <= pong {
		names = append(names, a.pending[0].names...)
		a.pending = a.pending[1:]
	}
	return names
}

// confirmed returns the names that Redis has confirmed.
func (a *askedNames) confirmed() coherence.Names {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := maps.Clone(a.all)
	for _, p := range a.pending {
		for _, name := range p.names {
			delete(names, name)
		}
	}
	return names
}
