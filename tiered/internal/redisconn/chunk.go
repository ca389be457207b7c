package redisconn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// A request for many keys goes to a server in chunks, each a call of its own, so that Timeout is the time of a chunk and not
// of all, and what arrived stays when a later chunk fails.
const (
	// MaxChunk is how many keys a chunk has at most. Redis does nothing else while it carries out one command for them all, and
	// a chunk should take a small part of Timeout: a thousand SETs take 5 ms, and 50 ms on a machine that is overloaded.
	MaxChunk = 1000
	// MaxChunkBytes is how much a chunk moves, but for a single key that takes more: a millisecond at 10 Gbit/s, 80 at 100 Mbit/s.
	MaxChunkBytes = 1 << 20
	// CommandBytes is about how much a command takes with its script, and a key with what begins it.
	CommandBytes = 256
	// firstChunk is how many values are read before their size is known. The following chunks grow with what they bring.
	firstChunk = 256
	chunkGrows = 4
	// chunkShrinks is by how much chunks get smaller after one that took too long.
	chunkShrinks = 16
	// ParallelChunks is how many chunks go to a server at a time: the client writes one while Redis carries out the other.
	ParallelChunks = 2
	// mostLate is how many chunks in a row may take too long before the rest isn't asked for: two of each of the sizes 256, 16
	// and 1, so that values are read that are too large for more than one at a time.
	mostLate = 6

	// MaxTimeouts is for how many Timeouts a call is waited for that moves much, as long as the server answers others meanwhile.
	// With the defaults that is less than go-redis waits.
	MaxTimeouts = 8
)

// outcome is what a call says of its server.
type outcome uint8

const (
	wasAnswered outcome = iota
	wasLate             // it took too long, but the server answered another call meanwhile
	wasSilent           // the server answered nothing
)

// silentError is the error of a call during which the server answered nothing.
type silentError struct{ error }

func (e *silentError) Unwrap() error { return e.error }

// IsUnresponsive reports whether the error says that the server doesn't answer.
func IsUnresponsive(err error) bool {
	_, is := errors.AsType[*silentError](err)
	return is || NotSent(err)
}

// UnresponsiveError returns the error of answers none of which came since the server doesn't answer; nil: it isn't so.
func UnresponsiveError(answers []Reply) error {
	for _, a := range answers {
		if !IsUnresponsive(a.Err) {
			return nil
		}
	}
	return FirstError(answers)
}

// ending calls then when everything that it counts has ended. It begins with one.
type ending struct {
	left atomic.Int64
	then func() // or nil
}

func newEnding(then func()) *ending {
	e := &ending{then: then}
	e.left.Store(1)
	return e
}

func (e *ending) add() { e.left.Add(1) }

func (e *ending) done() {
	if e.left.Add(-1) == 0 && e.then != nil {
		e.then()
	}
}

// bytes is about how much the request sends for a key.
func (q *Request) bytes(i int) int {
	n := len(q.Keys[i]) // of which commandBytes has room for the part that is no caller's
	if q.Size != nil {
		n += q.Size(i)
	}
	return n
}

// chunk is how many of the places, which must not be none, are the next chunk, of so many keys at most.
func (q *Request) chunk(places []int, most int) int {
	bytes := 0
	for n, i := range places[:min(len(places), most)] {
		if bytes += q.bytes(i); bytes > MaxChunkBytes && n > 0 {
			return n
		}
	}
	return min(len(places), most)
}

// chunks are a request's keys of one server on their way to it.
type chunks struct {
	redis   *Conn
	request Request
	group   nodeBatch
	end     *ending
	answers []Reply // by place in the group

	mu     sync.Mutex
	next   int    // the first place of which no chunk was begun
	again  []part // read once more, in smaller chunks
	most   int    // keys of the next chunk
	late   int    // chunks in a row that took too long
	hushed bool   // and the server answered nothing else during one of them
	why    error  // what is left isn't asked for; nil: it is
}

// part are places in a group that are read once more, in chunks of so many keys at most.
type part struct{ from, to, most int }

// askGroup makes the part of a request that goes to one server, in chunks. When the server has answered nothing during one of
// them, and nothing during a smaller one, it isn't asked for the rest.
func (r *Conn) askGroup(ctx context.Context, q Request, g nodeBatch, end *ending) []Reply {
	most := MaxChunk
	if q.Values {
		most = firstChunk
	}
	if q.chunk(g.places, most) == len(g.places) {
		end.add()
		answers, v := r.ask(ctx, q, g, end.done)
		if v == wasAnswered || !q.Values || len(g.places) == 1 {
			return answers
		}
		c := chunks{redis: r, request: q, group: g, end: end, answers: answers, next: len(answers), most: most}
		c.see(0, len(answers), answers, v)
		return c.run(ctx)
	}
	c := chunks{redis: r, request: q, group: g, end: end, answers: make([]Reply, len(g.places)), most: most}
	return c.run(ctx)
}

func (c *chunks) run(ctx context.Context) []Reply {
	var others sync.WaitGroup
	for range ParallelChunks - 1 {
		others.Go(func() { c.askAll(ctx) })
	}
	c.askAll(ctx)
	others.Wait()
	if c.next < len(c.answers) {
		copy(c.answers[c.next:], Failed(len(c.answers)-c.next, c.why, c.group.Feed))
	}
	return c.answers
}

func (c *chunks) askAll(ctx context.Context) {
	for {
		from, to := c.take(ctx)
		if from == to {
			return
		}
		g := nodeBatch{c.group.places[from:to], c.group.Target}
		c.end.add()
		answers, v := c.redis.ask(ctx, c.request, g, c.end.done)
		c.see(from, to, answers, v)
	}
}

// take returns the next chunk; an empty one: there is none.
func (c *chunks) take(ctx context.Context) (from, to int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		c.why = c.group.Breaker.Err(c.request.Name)
	}
	if err := ctx.Err(); c.why == nil && err != nil {
		c.why = c.request.failure(err)
	}
	switch n := len(c.again); {
	case c.why != nil:
		return 0, 0
	case n > 0:
		p := &c.again[n-1]
		from = p.from
		if p.from = min(p.from+p.most, p.to); p.from == p.to {
			c.again = c.again[:n-1]
		}
		return from, p.from
	case c.next == len(c.answers):
		return 0, 0
	}
	from = c.next
	c.next += c.request.chunk(c.group.places[from:], c.most)
	return from, c.next
}

// see notes what became of a chunk, and what size the next is to have.
func (c *chunks) see(from, to int, answers []Reply, v outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	copy(c.answers[from:to], answers)
	switch n := to - from; v {
	case wasSilent, wasLate:
		// Redis answers nobody while it puts many large values together, or is busy for a moment: only where a smaller chunk finds
		// it silent, too, is the rest not tried.
		again := c.request.Values && n > 1
		if c.late++; c.late >= mostLate || v == wasSilent && c.hushed && n <= c.most {
			c.why = answers[0].Err
			break
		}
		c.most = max(1, min(c.most, n/chunkShrinks))
		if c.hushed = c.hushed || v == wasSilent; again {
			c.again = append(c.again, part{from, to, max(1, n/chunkShrinks)})
		}
	default:
		c.late, c.hushed = 0, false
		if !c.request.Values {
			c.most = min(MaxChunk, c.most*chunkGrows)
			break
		}
		bytes := n // so that it isn't nothing
		for _, a := range answers {
			b, _ := a.Bytes()
			bytes += len(b)
		}
		c.most = min(MaxChunk, max(c.most, n)*chunkGrows, max(1, MaxChunkBytes/max(1, bytes/n)))
	}
}

// patiently waits for a reply for longer than Timeout, as long as the server answers others meanwhile: what is read or written may
// be large, or Redis busy. It returns false when the reply isn't to be waited for any more.
func patiently[R any](ctx context.Context, r *Conn, s *Target, replies <-chan R) (got R, ok bool) {
	early := r.Timeout / 4 // so that there is time to answer
	timer := time.NewTimer(early)
	defer timer.Stop()
	began := mono.Now()
	asked, waited := false, false
	for {
		select {
		case got = <-replies:
			return got, true
		case <-ctx.Done():
			return got, false
		case <-timer.C:
		}
		switch {
		case !asked:
			s.Breaker.askSmallSoon(s.to)
			asked = true
			timer.Reset(r.Timeout - early)
		case s.Breaker.answeredSince(began):
			began, asked, waited = mono.Now(), false, false
			timer.Reset(early)
		case !waited && s.Breaker.asking.Load(): // the small call has its own Timeout
			waited = true
			timer.Reset(early)
		default:
			return got, false
		}
	}
}
