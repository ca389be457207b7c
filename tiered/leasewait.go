package tiered

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

const (
	pollFirst = 5 * time.Millisecond
	pollMost  = 250 * time.Millisecond

	// leaseGrace is how long a lease may stay in Redis after its time before another job replaces it.
	leaseGrace = time.Second
)

// leaseWaiter makes a job wait for the loads of other processes. It wakes when Redis reports a change of one of the keys. It
// polls only a server that reports no changes, and a key whose lease should have ended.
type leaseWaiter[T any] struct {
	woken chan struct{}
	pause time.Duration // between polls
	poll  bool          // the next read is a poll
	waits map[*flight[T]]leaseWait
}

// leaseWait is the lease that a flight waits for. The lease should end within its TTL from when it was first seen.
type leaseWait struct {
	lease    string
	until    mono.Instant
	validity *coherence.Validity // while it holds, changes on the lease's server are reported
	noEvents bool                // the server reports no changes
}

// wake returns the channel that wakes the job.
func (w *leaseWaiter[T]) wake() chan struct{} {
	if w.woken == nil {
		w.woken = make(chan struct{}, 1)
		w.waits = make(map[*flight[T]]leaseWait)
	}
	return w.woken
}

// add records the lease that a flight waits for. It returns false if the lease should have ended more than leaseGrace ago:
// a lease without an expiry might never be released.
func (w *leaseWaiter[T]) add(f *flight[T], found remote.Result[T]) bool {
	at := mono.Now()
	l := string(found.Lease)
	was, again := w.waits[f]
	if !again || was.lease != l {
		parsed, _ := wire.ParseLease(found.Lease)
		was = leaseWait{lease: l, until: at.Add(parsed.TTL)}
	}
	was.validity, was.noEvents = found.Validity, found.Feed.NoEvents
	w.waits[f] = was
	return at < was.until.Add(leaseGrace)
}

// remove forgets the flight's lease, so that its key is read again at once.
func (w *leaseWaiter[T]) remove(f *flight[T]) { delete(w.waits, f) }

// all reports whether there are flights and each of them waits for a lease.
func (w *leaseWaiter[T]) all(flights []*flight[T]) bool {
	for _, f := range flights {
		if _, waits := w.waits[f]; !waits {
			return false
		}
	}
	return len(flights) > 0
}

// due reports whether the flight's key must be read again.
func (w *leaseWaiter[T]) due(f *flight[T], g *keyTable[T]) bool {
	was, waits := w.waits[f]
	at := mono.Now()
	return !waits || !g.IsCurrent(f) || w.poll && (at >= was.until || !was.reported(at))
}

// reported reports whether Redis would report a change of the key.
func (w leaseWait) reported(at mono.Instant) bool { return !w.noEvents && w.validity.Holds(at) }

// wait waits until one of the keys may be due, or until ctx ends.
func (w *leaseWaiter[T]) wait(ctx context.Context) {
	w.poll = false
	for {
		at, pause, poll := mono.Now(), defaultHeartbeat, false
		for f, was := range w.waits {
			if f.Finished() {
				delete(w.waits, f)
				continue
			}
			pause = min(pause, was.until.Since(at))
			poll = poll || !was.reported(at)
		}
		if poll || pause <= 0 {
			w.pause = min(max(pollFirst, 2*w.pause), pollMost)
			pause, poll = mono.Jitter(w.pause), true
		}
		timer := time.NewTimer(pause)
		select {
		case <-w.woken:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if w.poll = poll || pause < defaultHeartbeat; w.poll {
			return
		}
	}
}
