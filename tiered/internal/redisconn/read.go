package redisconn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Session is some reads of one cache. EndSession ends them when the cache is closed.
type Session struct {
	Trace *Trace // nil, or gets the reads
}

// trace returns the Trace of a session that may be nil.
func (s *Session) trace() *Trace {
	if s == nil {
		return nil
	}
	return s.Trace
}

// Read is one caller's read of the keys that one server has. The caller may give it up; then nobody gets the replies.
//
// A Read ends when its state leaves readAsked, which happens once. The goroutine that does it, of a sender, of sweep,
// of Close, or of the caller, is the only one to write replies. So replies need no lock, and a sender that comes late
// can't disturb anybody. It may come at any time later, so a Read isn't used again: the replies might reach the next
// caller. Its channel is: only finish sends on it, and only if it ended the Read.
type Read struct {
	session  *Session
	Keys     []string
	only     [1]string // the memory of Keys, if there is one key
	target   target
	ctx      context.Context // its values are for the client's hooks
	at       mono.Instant
	state    atomic.Uint32 // readAsked, readReplied or readGivenUp
	Received bool          // the caller has the replies
	done     chan struct{} // gets one element when the replies are there, and never a second
	chans    *sync.Pool    // gets done when its element was received, for another Read
	replies  []Reply       // one for each key
}

// The states of a Read.
const (
	readAsked uint32 = iota
	readReplied
	readGivenUp
)

// Pending is one key of a Read. A Pending without a Read is of a key that takes a call of its own.
type Pending struct {
	*Read
	index int // of the key in Keys
}

// finish gives the replies to the caller, unless the caller gave up or has others already.
func (rd *Read) finish(replies []Reply) {
	if rd.state.CompareAndSwap(readAsked, readReplied) {
		rd.replies = replies
		rd.traceDone(replies) // before the caller, which may go on at once, has the replies
		rd.done <- struct{}{}
	}
}

func (rd *Read) finishClosed() { rd.finish(Failed(len(rd.Keys), ErrClosed, rd.target.Feed)) }

func (rd *Read) failed(err error) []Reply {
	return Failed(len(rd.Keys), callError(stepGet, err), rd.target.Feed)
}

// Wait returns the key's reply, or an error when ctx ends.
func (p Pending) Wait(ctx context.Context) Reply {
	if !p.Await(ctx, nil) {
		if p.state.CompareAndSwap(readAsked, readGivenUp) {
			p.replies, p.Received = p.failed(ctx.Err()), true
			p.traceDone(p.replies)
		} else {
			p.Await(context.Background(), nil)
		}
	}
	return p.Reply()
}

// Reply returns the key's reply, once it is received.
func (p Pending) Reply() Reply { return p.replies[p.index] }

// Await waits for the replies until ctx ends or late has an element. It reports whether they were received. One goroutine
// at a time may wait.
func (rd *Read) Await(ctx context.Context, late <-chan time.Time) bool {
	if rd.Received {
		return true
	}
	select {
	case <-rd.done:
		rd.Received = true
		rd.chans.Put(rd.done)
	case <-ctx.Done():
	case <-late:
	}
	return rd.Received
}
