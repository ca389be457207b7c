package tiered

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

const (
	pollFirst = 5 * time.Millisecond
	pollMost  = 250 * time.Millisecond

	// leaseGrace is for how long a lease may outlive its time before it is taken over.
	leaseGrace = time.Second
)

// leaseWaiter is how a job waits for what other processes load. It wakes when Redis tells of a change of one of the keys. It
// polls only where nothing tells of it, and where a lease should be over.
type leaseWaiter[T any] struct {
	woken chan struct{}
	pause time.Duration // between polls
	poll  bool          // it is time for one
	waits map[*flight[T]]leaseWait
}

// leaseWait is what a flight waits for: a lease, which has at most its own time from when it was first seen.
type leaseWait struct {
	lease  string
	until  mono.Instant
	proof  *coherence.Validity // of the server that has it
	silent bool                // the server tells of no changes
}

// wake returns the channel on which the job is woken.
func (w *leaseWaiter[T]) wake() chan struct{} {
	if w.woken == nil {
		w.woken = make(chan struct{}, 1)
		w.waits = make(map[*flight[T]]leaseWait)
	}
	return w.woken
}

// add notes what a flight waits for. It answers false if the lease should be long over: nobody will release one that
// Redis doesn't let expire.
func (w *leaseWaiter[T]) add(f *flight[T], found readResult[T]) bool {
	at := mono.Now()
	l := string(found.lease)
	was, again := w.waits[f]
	if !again || was.lease != l {
		parsed, _ := wire.ParseLease(found.lease)
		was = leaseWait{lease: l, until: at.Add(parsed.TTL)}
	}
	was.proof, was.silent = found.Validity, found.Feed.NoEvents
	w.waits[f] = was
	return at < was.until.Add(leaseGrace)
}

func (w *leaseWaiter[T]) remove(f *flight[T]) { delete(w.waits, f) }

// all reports whether there are flights, and each waits for something.
func (w *leaseWaiter[T]) all(flights []*flight[T]) bool {
	for _, f := range flights {
		if _, waits := w.waits[f]; !waits {
			return false
		}
	}
	return len(flights) > 0
}

// due reports whether the flight's key is to be read again.
func (w *leaseWaiter[T]) due(f *flight[T], g *keyTable[T]) bool {
	was, waits := w.waits[f]
	at := mono.Now()
	return !waits || !g.unheard(f) || w.poll && (at >= was.until || !was.told(at))
}

// told reports whether a change of the key would be told of.
func (w leaseWait) told(at mono.Instant) bool { return !w.silent && w.proof.Holds(at) }

// wait returns when one of the keys may be due, or when ctx ends.
func (w *leaseWaiter[T]) wait(ctx context.Context) {
	w.poll = false
	for {
		at, pause, poll := mono.Now(), defaultHeartbeat, false
		for f, was := range w.waits {
			if f.finished() {
				delete(w.waits, f)
				continue
			}
			pause = min(pause, was.until.Since(at))
			poll = poll || !was.told(at)
		}
		if poll || pause <= 0 {
			w.pause = min(max(pollFirst, 2*w.pause), pollMost)
			pause, poll = w.pause/2+rand.N(w.pause/2), true
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
