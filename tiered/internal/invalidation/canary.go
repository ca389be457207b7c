package invalidation

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// A canary has three uses. Its report proves that invalidations arrive, as the package documentation says. Its answer
// closes the server's breaker, and its lack opens it, so that no call of a cache has to find out whether the server
// is back. And with tracking it is a write, so that its success ends the refusals of writes.
//
// Answer and report come over two connections, and in any order. A report in time counts as an answer. But if the
// answer to that canary then doesn't come, reports don't count any more until a canary is answered (answerMissing).
// Otherwise a server that reports, but answers no call, would seem well.
//
// A canary isn't sent while another one is under way, which may be for longer than Timeout, since go-redis may not
// return. It is sent when the other has ended (due). A server that is known to be a replica gets none: it may take
// the write and report it, though the caches have to use its master.

// canaryState is the state of a stream's canaries. One is under way at a time.
type canaryState struct {
	underWay      atomic.Bool
	due           atomic.Bool  // another one was due meanwhile
	sent          atomic.Int64 // the instant of the last
	answered      atomic.Int64 // the instant of the last that Redis answered, if only with an error
	reported      atomic.Int64 // the instant of the last that the stream reported
	answerMissing atomic.Bool  // the last was reported, but not answered
	refused       atomic.Int64 // the instant of the last that Redis refused for good; 0: it has executed one since
}

func (canary *canaryState) last() mono.Instant { return mono.Instant(canary.sent.Load()) }

// heartbeatLoop checks the stream and sends a canary with each heartbeat, and sends one whenever it is woken. When caches were
// opened it asks Redis to report their changes.
func (s *stream) heartbeatLoop(ctx context.Context) {
	heartbeat := time.NewTicker(s.group.Heartbeat)
	defer heartbeat.Stop()
	defer s.questions.close()
	for {
		ticked := false
		select {
		case <-ctx.Done():
			return
		case <-heartbeat.C:
			ticked = true
		case <-s.wake:
		case <-s.asked:
			s.sendQuestions()
			continue
		case <-s.opened:
			if c := s.conn.Load(); c != nil {
				c.ping()
			}
			continue
		}
		c := s.conn.Load()
		if ticked {
			s.checkLapsed()
			if c != nil {
				if why := c.watchdog.tick(s.group.Heartbeat, s.group.MaxAge()); why != nil {
					c.end(why)
					continue // its end wakes this loop
				}
			}
		}
		if c != nil {
			c.ping()
		}
		s.sendCanary(ctx, c)
	}
}

// sendQuestions sends the questions that wait. Only heartbeatLoop calls it.
func (s *stream) sendQuestions() {
	if c := s.conn.Load(); c != nil {
		c.ask(s.questions.take())
	} else {
		s.questions.fail()
	}
}

// sendCanary sends a canary, unless one is still under way: go-redis may take longer than the context allows.
func (s *stream) sendCanary(ctx context.Context, c *connection) {
	canary := &s.canary
	if !canary.underWay.CompareAndSwap(false, true) {
		canary.due.Store(true)
		return
	}
	at := mono.Now()
	canary.sent.Store(int64(at))
	ended := func() {
		canary.underWay.Store(false)
		if canary.due.Swap(false) {
			s.sendCanarySoon()
		}
	}
	s.group.running.Go(func() {
		_, err := redisconn.Call(ctx, s.group.Caller, "canary", ended, func(ctx context.Context) (struct{}, error) {
			if err := s.group.Capabilities.Replica(s.status.where()); err != nil {
				return struct{}{}, err // it may be one that takes writes, and reports them
			}
			return struct{}{}, s.transport.sendCanary(ctx, at)
		})
		if ctx.Err() == nil {
			s.canarySent(c, at, errors.Unwrap(err)) // StepError names the step
		}
	})
}

// canarySent handles the outcome of a canary. The connection is the one at the time of sending, or nil.
func (s *stream) canarySent(c *connection, at mono.Instant, err error) {
	if err != nil {
		err = redisconn.StepError(redisconn.StepCanary, err)
	}
	if s.group.Unanswered(err) {
		s.canaryUnanswered(at, err)
	} else {
		s.canary.answerMissing.Store(false)
		s.canary.answered.Store(int64(at))
		s.canaryAnswered(at)
	}
	var refused *redisconn.PermanentError
	switch {
	case err == nil:
		s.canary.refused.Store(0)
		if c != nil {
			c.watchdog.executed(at)
		}
		if s.breaker != nil && s.group.tracks() { // a canary is a write
			s.group.Refusals.NoteWritable(s.breaker.Addr())
		}
		s.group.hooks.Answered()
	case errors.As(err, &refused):
		s.canary.refused.Store(int64(at))
		s.down(mono.Now(), err)
	default:
		s.status.noteCause(at, err)
		s.firstOutcome(err)
		if redisconn.IsMoved(err) && s.rescan != nil {
			s.rescan()
		}
	}
}

// canaryUnanswered notes that Redis didn't answer the canary of the instant.
func (s *stream) canaryUnanswered(at mono.Instant, err error) {
	s.canary.answerMissing.Store(s.canary.reported.Load() >= int64(at))
	if s.breaker == nil {
		s.markUnreachable()
	} else {
		s.breaker.Open(at, err)
	}
}

// canaryAnswered notes that Redis answered the canary of the instant.
func (s *stream) canaryAnswered(at mono.Instant) {
	if s.breaker == nil {
		s.Unreachable.Store(false)
		return
	}
	s.breaker.Answered(at)
	s.breaker.Close()
}

// answeredByReport takes the report of a canary for its answer, which may come later. A report that was late isn't an answer in
// time. Nor is one if the canaries before it weren't answered: then the next canary must be.
func (s *stream) answeredByReport(at mono.Instant) {
	s.canary.reported.Store(int64(at))
	switch {
	case !s.canary.answerMissing.Load() && mono.Now().Since(at) <= s.group.Timeout:
		s.canaryAnswered(at)
	case s.Unreachable.Load():
		s.sendCanarySoon()
	}
}

// markUnreachable lets values be served whose validity has run out. See [redisconn.Breaker.MarkUnreachable].
func (s *stream) markUnreachable() {
	if s.breaker != nil {
		s.breaker.MarkUnreachable()
		return
	}
	s.Unreachable.Store(true)
}
