package invalidation

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// canaryState is the state of a stream's canaries. One is under way at a time.
type canaryState struct {
	underWay atomic.Bool
	again    atomic.Bool  // another one was due meanwhile
	sent     atomic.Int64 // the instant of the last
	answered atomic.Int64 // the instant of the last that Redis answered, if only with an error
	reported atomic.Int64 // the instant of the last that the stream reported
	lost     atomic.Bool  // the last was reported, but not answered
}

func (c *canaryState) last() mono.Instant { return mono.Instant(c.sent.Load()) }

// heartbeatLoop looks after the stream with each heartbeat, and whenever it is hastened.
func (s *stream) heartbeatLoop(ctx context.Context) {
	heartbeat := time.NewTicker(s.redis.Heartbeat)
	defer heartbeat.Stop()
	for {
		ticked := false
		select {
		case <-ctx.Done():
			return
		case <-heartbeat.C:
			ticked = true
		case <-s.wake:
		}
		l := s.conn.Load()
		if ticked {
			s.lapse()
			if l != nil {
				if why := l.watchdog.tick(s.redis.Heartbeat, s.redis.MaxAge()); why != nil {
					l.end(why)
					continue // its end hastens the next beat
				}
			}
		}
		if l != nil {
			l.ping()
		}
		s.sendCanary(ctx, l)
	}
}

// sendCanary sends a canary, unless one is still under way: go-redis may take longer over it than it is given.
func (s *stream) sendCanary(ctx context.Context, l *connection) {
	c := &s.canary
	if !c.underWay.CompareAndSwap(false, true) {
		c.again.Store(true)
		return
	}
	at := mono.Now()
	c.sent.Store(int64(at))
	ended := func() {
		c.underWay.Store(false)
		if c.again.Swap(false) {
			s.sendCanarySoon()
		}
	}
	s.redis.running.Go(func() {
		_, err := redisconn.Call(ctx, s.redis.Conn, "canary", ended, func(ctx context.Context) (struct{}, error) {
			if err := s.redis.Capabilities.Replica(s.health.where()); err != nil {
				return struct{}{}, err // it may be one that takes writes, and reports them
			}
			return struct{}{}, s.transport.sendCanary(ctx, at)
		})
		if ctx.Err() == nil {
			s.canarySent(l, at, errors.Unwrap(err)) // the step is said in the cause
		}
	})
}

// canarySent handles the outcome of a canary. The connection is the one at the time of sending, or nil.
func (s *stream) canarySent(l *connection, at mono.Instant, err error) {
	if err != nil {
		err = redisconn.Judge(redisconn.StepCanary, err)
	}
	if s.redis.Unanswered(err) {
		s.unanswered(at, err)
	} else {
		s.canary.lost.Store(false)
		s.canary.answered.Store(int64(at))
		s.answered(at)
	}
	var refused *redisconn.PermanentError
	switch {
	case err == nil:
		if l != nil {
			l.watchdog.taken(at)
		}
		if s.breaker != nil && s.redis.mode == Tracking { // a canary is a write
			s.redis.Refusals.Writable(s.breaker.Addr())
		}
		s.redis.hooks.Answered()
	case errors.As(err, &refused):
		s.down(mono.Now(), err)
	default:
		s.health.suspect(at, err)
		s.firstOutcome(err)
		if redisconn.Moved(err) && s.onTrouble != nil {
			s.onTrouble()
		}
	}
}

// unanswered tells that Redis didn't answer the canary of the instant.
func (s *stream) unanswered(at mono.Instant, err error) {
	s.canary.lost.Store(s.canary.reported.Load() >= int64(at))
	if s.breaker == nil {
		s.markUnreachable()
	} else {
		s.breaker.Open(at, err)
	}
}

// answered tells that Redis answers what it was asked at the instant.
func (s *stream) answered(at mono.Instant) {
	if s.breaker == nil {
		s.Unreachable.Store(false)
		return
	}
	s.breaker.Answered(at)
	s.breaker.Close()
}

// answeredAt takes it from a canary's report that Redis answers, of which its sender may hear only later. A report that was
// late isn't an answer in time; nor is one where those before weren't answered: then the next canary has to be.
func (s *stream) answeredAt(at mono.Instant) {
	s.canary.reported.Store(int64(at))
	switch {
	case !s.canary.lost.Load() && mono.Now().Since(at) <= s.redis.Timeout:
		s.answered(at)
	case s.Unreachable.Load():
		s.sendCanarySoon()
	}
}

// markUnreachable lets values be served whose validity has run out, since the server doesn't answer. It does nothing if the server
// has left the Cluster, where another one has its keys.
func (s *stream) markUnreachable() {
	if s.breaker != nil {
		s.breaker.MarkUnreachable()
		return
	}
	s.Unreachable.Store(true)
}

// markClosed marks the server as unreachable for good: its Redis is closed, so the breaker can't end that.
func (s *stream) markClosed() {
	if s.breaker != nil {
		s.breaker.Mute()
		return
	}
	s.Unreachable.Store(true)
}
