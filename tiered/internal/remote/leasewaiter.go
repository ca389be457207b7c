package remote

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

const (
	pollFirst = 5 * time.Millisecond
	pollMost  = 250 * time.Millisecond
	// longestWait is how long a wait lasts at most before its leases are looked at again, though not read.
	longestWait = time.Second

	// leaseGrace is how long a lease may stay in Redis after its time before another job replaces it.
	leaseGrace = time.Second
)

// LeaseWaiter waits for the loads of other processes. Each K waits for the lease of one key. It wakes when Redis reports a change of
// one of the keys. It polls only a server that reports no changes, and a key whose lease should have ended.
//
// A lease says for how long it was taken, and each extension changes its bytes. The same bytes after that time mean that the holder
// doesn't extend it any more and that Redis is about to drop it, which Redis may report late. So the key is polled. If the bytes are
// there leaseGrace later, the lease has no expiry, and Add doesn't wait for it any longer.
//
// Reports can be relied on while the validity of the reply with the lease holds. Once it doesn't, the key is polled.
type LeaseWaiter[K comparable] struct {
	woken chan struct{}
	pause time.Duration // between polls
	poll  bool          // the next read is a poll
	waits map[K]leaseWait
}

// leaseWait is the lease that is waited for. The lease should end within its TTL from when it was first seen.
type leaseWait struct {
	lease    string
	until    mono.Instant
	validity *coherence.Validity // while it holds, changes on the lease's server are reported
	noEvents bool                // the server reports no changes
}

// Wake returns the channel that ends a Wait.
func (w *LeaseWaiter[K]) Wake() chan struct{} {
	if w.woken == nil {
		w.woken = make(chan struct{}, 1)
	}
	return w.woken
}

// Add records the lease that k waits for, and the reply that it was found in. It returns false if the lease should have ended
// more than leaseGrace ago: a lease without an expiry might never be released.
func (w *LeaseWaiter[K]) Add(k K, lease []byte, from redisconn.Reply) bool {
	at := mono.Now()
	l := string(lease)
	was, again := w.waits[k]
	if !again || was.lease != l {
		parsed, _ := wire.ParseLease(lease)
		was = leaseWait{lease: l, until: at.Add(parsed.TTL)}
	}
	was.validity, was.noEvents = from.Validity, from.Feed.NoEvents
	if w.waits == nil {
		w.waits = make(map[K]leaseWait)
	}
	w.waits[k] = was
	return at < was.until.Add(leaseGrace)
}

// Remove forgets the lease of k, so that it is read again at once.
func (w *LeaseWaiter[K]) Remove(k K) { delete(w.waits, k) }

// Has reports whether k waits for a lease.
func (w *LeaseWaiter[K]) Has(k K) bool {
	_, waits := w.waits[k]
	return waits
}

// All reports whether there are any, and each of them waits for a lease.
func (w *LeaseWaiter[K]) All(all []K) bool {
	for _, k := range all {
		if _, waits := w.waits[k]; !waits {
			return false
		}
	}
	return len(all) > 0
}

// Due reports whether k must be read again. changed says whether a change of its key was reported.
func (w *LeaseWaiter[K]) Due(k K, changed bool) bool {
	was, waits := w.waits[k]
	at := mono.Now()
	return !waits || changed || w.poll && (at >= was.until || !was.reported(at))
}

// reported reports whether Redis would report a change of the key.
func (w leaseWait) reported(at mono.Instant) bool { return !w.noEvents && w.validity.Holds(at) }

// Wait waits until one of them may be due, or until ctx ends. It forgets those that have finished.
func (w *LeaseWaiter[K]) Wait(ctx context.Context, finished func(K) bool) {
	w.poll = false
	for {
		at, pause, poll := mono.Now(), longestWait, false
		for k, was := range w.waits {
			if finished(k) {
				delete(w.waits, k)
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
		if w.poll = poll || pause < longestWait; w.poll {
			return
		}
	}
}
