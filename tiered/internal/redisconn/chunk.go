package redisconn

import (
	"context"
	"sync"
	"sync/atomic"
)

// A request for many keys goes to a server in chunks, each a call of its own. So Timeout is the time of one chunk, and replies
// that arrived stay when a later chunk fails.
const (
	// MaxChunk is how many keys a chunk has at most. Redis does nothing else while it executes one command for them all, and
	// a chunk should take a small part of Timeout: a thousand SETs take 5 ms, and 50 ms on a machine that is overloaded.
	MaxChunk = 1000
	// MaxChunkBytes is how much a chunk moves, unless a single key takes more: a millisecond at 10 Gbit/s, 80 at 100 Mbit/s.
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
func IsUnresponsive(err error) bool { return is[*unresponsiveError](err) || NotSent(err) }

// UnresponsiveError returns the first error if all replies failed since the server answers nothing, and nil otherwise.
func UnresponsiveError(replies []Reply) error {
	for _, a := range replies {
		if !IsUnresponsive(a.Err) {
			return nil
		}
	}
	return FirstError(replies)
}

// callCount counts the calls of a request that haven't ended. It begins with one, for the request itself.
type callCount struct {
	n     atomic.Int64
	ended func() // called when the count is 0; or nil
}

func newCallCount(ended func()) *callCount {
	c := &callCount{ended: ended}
	c.n.Store(1)
	return c
}

func (c *callCount) add() { c.n.Add(1) }

func (c *callCount) done() {
	if c.n.Add(-1) == 0 && c.ended != nil {
		c.ended()
	}
}

// bytes returns about how much the request sends for a key.
func (q *Request) bytes(i int) int {
	n := len(q.Keys[i]) // the prefix is part of CommandBytes
	if q.Size != nil {
		n += q.Size(i)
	}
	return n
}

// chunk returns how many of the places, which must not be none, are the next chunk.
func (q *Request) chunk(places []int, most int) int {
	bytes := 0
	for n, i := range places[:min(len(places), most)] {
		if bytes += q.bytes(i); bytes > MaxChunkBytes && n > 0 {
			return n
		}
	}
	return min(len(places), most)
}

// chunks are the keys of a request for one server, on their way to it.
type chunks struct {
	redis   *Conn
	request Request
	batch   nodeBatch
	calls   *callCount
	replies []Reply // of the batch's keys

	mu           sync.Mutex
	next         int    // the first key that no chunk has
	again        []span // read once more, in smaller chunks
	most         int    // keys of the next chunk
	late         int    // chunks in a row that were late
	unresponsive bool   // the server answered nothing during one of them
	err          error  // why the rest isn't asked for; nil: it is
}

// span are keys of a batch that are read once more, in chunks of so many keys at most.
type span struct{ from, to, most int }

// doBatch makes the part of a request that goes to one server, in chunks. When the server answered nothing during one of
// them, nor during a smaller one, it isn't asked for the rest.
func (r *Conn) doBatch(ctx context.Context, q Request, b nodeBatch, calls *callCount) []Reply {
	c := chunks{redis: r, request: q, batch: b, calls: calls, most: MaxChunk}
	if q.Values {
		c.most = firstChunk
	}
	if q.chunk(b.places, c.most) < len(b.places) {
		c.replies = make([]Reply, len(b.places))
		return c.run(ctx)
	}
	calls.add()
	replies, o := r.call(ctx, q, b, calls.done)
	if o == wasAnswered || !q.Values || len(b.places) == 1 {
		return replies
	}
	c.replies, c.next = replies, len(replies)
	c.note(span{to: len(replies)}, replies, o)
	return c.run(ctx)
}

func (c *chunks) run(ctx context.Context) []Reply {
	var others sync.WaitGroup
	for range ParallelChunks - 1 {
		others.Go(func() { c.callAll(ctx) })
	}
	c.callAll(ctx)
	others.Wait()
	if c.next < len(c.replies) {
		copy(c.replies[c.next:], Failed(len(c.replies)-c.next, c.err, c.batch.Feed))
	}
	return c.replies
}

func (c *chunks) callAll(ctx context.Context) {
	for {
		s := c.take(ctx)
		if s.from == s.to {
			return
		}
		c.calls.add()
		replies, o := c.redis.call(ctx, c.request, nodeBatch{c.batch.places[s.from:s.to], c.batch.Target}, c.calls.done)
		c.note(s, replies, o)
	}
}

// take returns the next chunk. An empty one says that there is none.
func (c *chunks) take(ctx context.Context) span {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = c.batch.Breaker.Err(c.request.Name)
	}
	if err := ctx.Err(); c.err == nil && err != nil {
		c.err = callError(c.request.Name, err)
	}
	switch n := len(c.again); {
	case c.err != nil:
		return span{}
	case n > 0:
		s := &c.again[n-1]
		from := s.from
		if s.from = min(s.from+s.most, s.to); s.from == s.to {
			c.again = c.again[:n-1]
		}
		return span{from: from, to: s.from}
	case c.next == len(c.replies):
		return span{}
	}
	from := c.next
	c.next += c.request.chunk(c.batch.places[from:], c.most)
	return span{from: from, to: c.next}
}

// note takes the result of a chunk, and decides on the size of the next.
func (c *chunks) note(s span, replies []Reply, o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	copy(c.replies[s.from:s.to], replies)
	n := s.to - s.from
	if o == wasAnswered {
		c.late, c.unresponsive = 0, false
		c.grow(n, replies)
		return
	}
	// Redis answers no other call while it puts many large values together, or is busy for a moment. So the rest is given up
	// only if a smaller chunk finds it unresponsive, too.
	if c.late++; c.late >= maxLate || o == wasUnresponsive && c.unresponsive && n <= c.most {
		c.err = replies[0].Err
		return
	}
	c.most = max(1, min(c.most, n/chunkShrinks))
	c.unresponsive = c.unresponsive || o == wasUnresponsive
	if c.request.Values && n > 1 {
		c.again = append(c.again, span{s.from, s.to, max(1, n/chunkShrinks)})
	}
}

// grow lets the next chunk be larger, as far as the values of one of n keys allow. It is called with the lock.
func (c *chunks) grow(n int, replies []Reply) {
	if !c.request.Values {
		c.most = min(MaxChunk, c.most*chunkGrows)
		return
	}
	bytes := n // so that it isn't 0
	for _, a := range replies {
		b, _ := a.Bytes()
		bytes += len(b)
	}
	c.most = min(MaxChunk, max(c.most, n)*chunkGrows, max(1, MaxChunkBytes/max(1, bytes/n)))
}
