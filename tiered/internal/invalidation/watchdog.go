package invalidation

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

var (
	errUnanswered = errors.New("the connection that brings invalidations is dead: no answer")
	errLeftBehind = errors.New("the connection that brings invalidations hangs on a server that doesn't take this process's " +
		"writes, or doesn't report them")
)

// watchdog decides whether a connection is still good. It counts beats instead of reading a clock, so that a
// process that was frozen doesn't take what it hasn't read yet for what didn't come.
//
// A connection is given up for two reasons. It is dead if nothing at all came for 2 × (Heartbeat + Timeout), not even
// the answer to one of the PINGs, which are sent with each canary. It was left behind if Redis executed a canary that
// the connection doesn't report, though it answers PINGs: after a failover, say, it may still be open to the old
// master, or to a server that an address no longer leads to. A report and a PONG come in order, so a PONG to a PING
// that was sent after the canary was executed proves that the report isn't merely late. The validity has run out by
// then in any case. What the watchdog adds is that the stream connects again.
type watchdog struct {
	silent atomic.Int64 // beats since something was last received
	pings  atomic.Int64 // the number of the last PING
	pong   atomic.Int64 // the number of the last one that was answered

	mu       sync.Mutex
	newest   mono.Instant // the newest canary that was reported
	missing  mono.Instant // the oldest that Redis has taken and not reported; 0: none
	beats    int64        // beats since then
	lastPing int64        // the last PING before then
}

// nextPing returns the number of the PING that is sent next.
func (w *watchdog) nextPing() int64 { return w.pings.Add(1) }

// answered notes the PONG of the number.
func (w *watchdog) answered(number int64) { w.pong.Store(number) }

// executed notes that Redis has executed a canary.
func (w *watchdog) executed(at mono.Instant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missing == 0 && at > w.newest {
		w.missing, w.beats, w.lastPing = at, 0, w.pings.Load()
	}
}

// reported notes the report of a canary. Older ones were reported before it, or never will be.
func (w *watchdog) reported(at mono.Instant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.newest = max(w.newest, at)
	if w.missing <= w.newest {
		w.missing = 0
	}
}

// tick counts a beat, and returns why the connection must be given up, or nil. A canary that is only late, because there is much
// to read, is no reason: the answer to a later PING must have come before it.
func (w *watchdog) tick(beat, maxAge time.Duration) error {
	if mono.Times(w.silent.Add(1), beat) > mono.Times(2, maxAge) {
		return errUnanswered
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missing == 0 {
		return nil
	}
	w.beats++
	if mono.Times(w.beats, beat) > maxAge && w.pong.Load() > w.lastPing {
		return errLeftBehind
	}
	return nil
}
