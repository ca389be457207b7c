package redisconn

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// A request for many keys goes to a server in chunks, each a call of its own. So Timeout is the time of one chunk, and replies
// that arrived stay when a later chunk fails.
const (
	// MaxChunk is how many keys a chunk has at most. Redis does nothing else while it executes one command for them all, and
	// a chunk should take a small part of Timeout: a thousand SETs take 5 ms, and 50 ms on a machine that is overloaded.
	MaxChunk = 1000
	// MaxChunkBytes is about how much a chunk sends or receives, unless a single key takes more: a millisecond at 10 Gbit/s, 80 at 100 Mbit/s.
	MaxChunkBytes = 1 << 20
	// CommandBytes is about how much a command takes with its script and the prefix of its key.
	CommandBytes = 256
	// firstChunk is how many values are read before their size is known. Later chunks grow as the sizes allow.
	firstChunk   = 256
	chunkGrows   = 4
	chunkShrinks = 16 // after a chunk that was late
	// ParallelChunks is how many chunks go to a server at a time: the client writes one while Redis executes the other.
	ParallelChunks = 2
	// maxLate is how many chunks in a row may be late before the rest isn't asked for: two of each of the sizes 256, 16 and
	// 1, so that values are read of which only one fits into a Timeout.
	maxLate = 6
)

// outcome is what a call says about its server.
type outcome uint8

const (
	wasAnswered     outcome = iota
	wasLate                 // it took too long, but the server answered another call meanwhile
	wasUnresponsive         // the server answered nothing
)

// unresponsiveError is the error of a call during which the server answered nothing.
type unresponsiveError struct{ error }

func (e *unresponsiveError) Unwrap() error { return e.error }

// IsUnresponsive reports whether the error says that the server answers nothing.
func IsUnresponsive(err error) bool { return hasType[*unresponsiveError](err) || NotSent(err) }

// UnresponsiveError returns the first error if all replies failed since the server answers nothing, and nil otherwise.
func UnresponsiveError(replies []Reply) error {
	for _, r := range replies {
		if !IsUnresponsive(r.Err) {
			return nil
		}
	}
	return FirstError(replies)
}

// callCount counts the calls of a request that haven't ended. It begins with one, for the request itself. A nil *callCount doesn't
// count.
type callCount struct {
	n     atomic.Int64
	ended func() // called when the count is 0
}

// newCallCount returns a callCount; nil: there is nothing to call.
func newCallCount(ended func()) *callCount {
	if ended == nil {
		return nil
	}
	c := &callCount{ended: ended}
	c.n.Store(1)
	return c
}

// begin counts one more call, and returns the function that ends it, or nil.
func (c *callCount) begin() (ended func()) {
	if c == nil {
		return nil
	}
	c.n.Add(1)
	return c.done
}

func (c *callCount) done() {
	if c != nil && c.n.Add(-1) == 0 {
		c.ended()
	}
}

// chunkLen returns how many of the indexes, of which there is at least one, are the next chunk.
func (q *Request) chunkLen(indexes []int, most int) int {
	bytes := 0
	for n, i := range indexes[:min(len(indexes), most)] {
		if bytes += q.bytes(i); bytes > MaxChunkBytes && n > 0 {
			return n
		}
	}
	return min(len(indexes), most)
}

// chunks are the keys of a request for one server, on their way to it.
//
// Two goroutines, of which one is the caller's, take a chunk (nextSpan), call the server, and note the outcome, until
// nothing is left. The lock guards what they decide together. The size of a write is known before it is sent
// (Request.Size). That of a value shows only in the reply: so a request for values begins with firstChunk keys, and
// grows as far as the sizes allow.
//
// A chunk that was late had too many keys, as far as can be known. The next have a sixteenth of them. If it was to
// read values, its own keys are read again, too, in such chunks (retries): what fits into a Timeout by itself is then
// read. Other requests aren't repeated: a write that was late may have been executed.
//
// The rest isn't asked for (err) if the breaker opened, if ctx ended, after maxLate late chunks in a row, and if the
// server answered nothing at all during one chunk and then during one of the reduced size. Once isn't enough, see
// note. What arrived before stays.
type chunks struct {
	requester *requester
	request   Request
	batch     nodeBatch
	calls     *callCount
	replies   []Reply // of the batch's keys

	mu           sync.Mutex
	next         int    // the first key that no chunk has
	retries      []span // read once more, in smaller chunks
	maxKeys      int    // keys of the next chunk
	late         int    // chunks in a row that were late
	unresponsive bool   // the server answered nothing during one of them
	err          error  // why the rest isn't asked for; nil: it is
}

// span are keys of a batch that are read once more, in chunks of so many keys at most.
type span struct{ from, to, maxKeys int }

// callBatch makes the part of a request that goes to one server as one call.
func (r *requester) callBatch(ctx context.Context, q *Request, nb nodeBatch, ended func()) (replies []Reply, o outcome) {
	if q.Trace == nil {
		return r.callUntraced(ctx, q, nb, ended)
	}
	began, info := mono.Now(), q.callInfo(nb)
	ctx = q.Trace.Start(ctx, info)
	defer func() { q.Trace.done(ctx, info, began, replies) }()
	return r.callUntraced(ctx, q, nb, ended)
}

// sending is the call for a batch, and its work. It has a copy of the request, which so needn't be on the heap by itself.
type sending struct {
	call      call[sent]
	requester *requester
	request   Request
	batch     nodeBatch
}

// sent are a batch's replies.
type sent struct {
	replies []Reply
	err     error // the server's
}

func (s *sending) do(ctx context.Context) (sent, error) {
	replies, err := s.requester.send(ctx, &s.request, s.batch)
	return sent{replies, err}, nil
}

// callUntraced is callBatch without its Trace.
func (r *requester) callUntraced(ctx context.Context, q *Request, nb nodeBatch, ended func()) ([]Reply, outcome) {
	began := mono.Now()
	send := &sending{requester: r, request: *q, batch: nb}
	var got sent
	var err error
	if len(nb.indexes) > 1 || q.bytes(nb.indexes[0]) >= largeValue {
		got, err = send.call.makeLarge(ctx, nb.target, q.Name, ended, send)
	} else {
		got, err = send.call.make(ctx, r.Caller, q.Name, ended, send)
	}
	if err != nil {
		got = sent{Failed(len(nb.indexes), err, nb.Feed), err}
	}
	nb.report(ctx, began, got.err)
	r.Refusals.note(nb.Breaker.Addr, q.Name, got.replies)
	switch {
	case !r.Unanswered(got.err):
		return got.replies, wasAnswered
	case nb.Breaker.answeredSince(began), len(nb.indexes) == 1: // a single value may be too large, and the breaker notices an outage
		return got.replies, wasLate
	}
	for i := range got.replies {
		if got.replies[i].Err != nil {
			got.replies[i].Err = &unresponsiveError{got.replies[i].Err}
		}
	}
	return got.replies, wasUnresponsive
}

// doBatch makes the part of a request that goes to one server, in chunks. When the server answered nothing during one of
// them, nor during a smaller one, it isn't asked for the rest.
func (r *requester) doBatch(ctx context.Context, q *Request, nb nodeBatch, calls *callCount) []Reply {
	most := MaxChunk
	if q.Values {
		most = firstChunk
	}
	var replies []Reply
	o := wasAnswered
	if q.chunkLen(nb.indexes, most) == len(nb.indexes) {
		replies, o = r.callBatch(ctx, q, nb, calls.begin())
		if o == wasAnswered || !q.Values || len(nb.indexes) == 1 {
			return replies
		}
	}
	cs := chunks{requester: r, request: *q, batch: nb, calls: calls, maxKeys: most, replies: replies, next: len(replies)}
	if replies == nil {
		cs.replies = make([]Reply, len(nb.indexes))
	} else {
		cs.note(span{to: len(replies)}, replies, o)
	}
	return cs.run(ctx)
}

func (cs *chunks) run(ctx context.Context) []Reply {
	var others sync.WaitGroup
	for range ParallelChunks - 1 {
		others.Go(func() { cs.callAll(ctx) })
	}
	cs.callAll(ctx)
	others.Wait()
	if cs.next < len(cs.replies) {
		copy(cs.replies[cs.next:], Failed(len(cs.replies)-cs.next, cs.err, cs.batch.Feed))
	}
	return cs.replies
}

func (cs *chunks) callAll(ctx context.Context) {
	for {
		s := cs.nextSpan(ctx)
		if s.from == s.to {
			return
		}
		replies, o := cs.requester.callBatch(ctx, &cs.request, nodeBatch{cs.batch.indexes[s.from:s.to], cs.batch.target}, cs.calls.begin())
		cs.note(s, replies, o)
	}
}

// nextSpan returns the next chunk. An empty one says that there is none.
func (cs *chunks) nextSpan(ctx context.Context) span {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.err == nil {
		cs.err = cs.batch.Breaker.Err(cs.request.Name)
	}
	if err := ctx.Err(); cs.err == nil && err != nil {
		cs.err = callError(cs.request.Name, err)
	}
	switch n := len(cs.retries); {
	case cs.err != nil:
		return span{}
	case n > 0:
		s := &cs.retries[n-1]
		from := s.from
		if s.from = min(s.from+s.maxKeys, s.to); s.from == s.to {
			cs.retries = cs.retries[:n-1]
		}
		return span{from: from, to: s.from}
	case cs.next == len(cs.replies):
		return span{}
	}
	from := cs.next
	cs.next += cs.request.chunkLen(cs.batch.indexes[from:], cs.maxKeys)
	return span{from: from, to: cs.next}
}

// note takes the result of a chunk, and decides on the size of the next.
func (cs *chunks) note(s span, replies []Reply, o outcome) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	copy(cs.replies[s.from:s.to], replies)
	n := s.to - s.from
	if o == wasAnswered {
		cs.late, cs.unresponsive = 0, false
		cs.grow(n, replies)
		return
	}
	// Redis answers no other call while it puts many large values together, or is busy for a moment. So the rest is given up
	// only if a smaller chunk finds it unresponsive, too.
	if cs.late++; cs.late >= maxLate || o == wasUnresponsive && cs.unresponsive && n <= cs.maxKeys {
		cs.err = replies[0].Err
		return
	}
	cs.maxKeys = max(1, min(cs.maxKeys, n/chunkShrinks))
	cs.unresponsive = cs.unresponsive || o == wasUnresponsive
	if cs.request.Values && n > 1 {
		cs.retries = append(cs.retries, span{s.from, s.to, max(1, n/chunkShrinks)})
	}
}

// grow lets the next chunk be larger, as far as the values of one of n keys allow. It is called with the lock.
func (cs *chunks) grow(n int, replies []Reply) {
	if !cs.request.Values {
		cs.maxKeys = min(MaxChunk, cs.maxKeys*chunkGrows)
		return
	}
	bytes := n // so that it isn't 0
	for _, r := range replies {
		b, _ := r.Bytes()
		bytes += len(b)
	}
	cs.maxKeys = min(MaxChunk, max(cs.maxKeys, n)*chunkGrows, max(1, MaxChunkBytes/max(1, bytes/n)))
}
