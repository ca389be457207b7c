package invalidation

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// stream is what this process hears from one server of Redis, over one connection at a time: a life. It proves that it
// hears everything by its canaries: with each heartbeat the client that the caches use writes a canary, which is named
// after the instant t0 at which it was sent, and the stream must report it. Then everything that Redis executed before
// t0 has been heard:
//
//   - Redis sends the invalidations of one turn of its event loop when the turn ends. The canary goes out at t0 on a
//     connection that has nothing else under way, so the turn that executes it began after t0. What was executed in an
//     earlier turn was sent before the canary's report, and one connection keeps the order; what was executed in the same
//     turn was executed after t0.
//   - Nothing else reports this canary: its name is random and has t0 in it, so that its expiry, or the report of an older
//     one that was late, names the older instant.
//   - The server that reports it is the one that takes the caches' writes, or follows that one in order. A connection that
//     was left behind on another server doesn't report it.
//
// So what was read through the stream's server after tracking was on, and hasn't been invalidated by the time of the
// report, was current at t0: the proof of such reads is extended to t0 + Heartbeat + Timeout. A stalled Redis or network
// lets it lapse; the next canary to come back on the same connection extends it again. The end of the connection ends the
// proof for good.
type stream struct {
	coherence.Feed

	redis    *Streams
	source   source
	stop     context.CancelFunc
	troubled func()        // told, if not nil, of a server that may be a master no more
	hurry    chan struct{} // has a canary sent at once

	settled  chan struct{}             // closed when the first outcome is known
	refused  *redisconn.PermanentError // the first outcome, if Redis refuses what the stream needs
	settling sync.Once

	canary  canary // what was last sent
	health  health
	breaker *redisconn.Breaker   // nil: the stream is that of many servers
	node    *redisconn.Node      // with the breaker
	life    atomic.Pointer[life] // nil: no connection that hears
}

// source is what a stream listens to.
type source interface {
	// Target returns the options of a client of the server to connect to.
	server(ctx context.Context) (*redis.Options, error)
	// greet is called on each new connection, before it subscribes to the channels.
	greet(ctx context.Context, cn *redis.Conn) error
	channels() []string
	// sing has the client that the caches use send a canary of the instant.
	sing(ctx context.Context, at mono.Instant) error
	// hear takes what the connection brings: the elements of an invalidation, or a *redis.Message.
	hear(s *stream, message any)
}

var (
	_ source = (*tracker)(nil)
	_ source = (*bulletin)(nil)
)

func newStream(r *Streams, from source, name string) *stream {
	s := &stream{redis: r, source: from, hurry: make(chan struct{}, 1), settled: make(chan struct{})}
	s.health.name, s.health.since = name, mono.Now()
	s.Current.Store(coherence.Never)
	return s
}

// start begins to listen, until ctx ends or the stream is stopped.
func (s *stream) start(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	s.redis.running.Go(func() { s.listen(ctx) })
	s.redis.running.Go(func() { s.beat(ctx) })
}

// listen lives one life after the other.
func (s *stream) listen(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		l := newLife(s)
		err := s.redis.Guard(func() error { return l.run(ctx) })
		s.ended(ctx, l, err)
		if l.began {
			failures = 0
		}
		wait := time.NewTimer(s.pause(failures, err))
		failures++
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// pause is how long to wait before the next life. What Redis refuses, it will refuse for a while.
func (s *stream) pause(failures int, err error) time.Duration {
	const shortest = 10 * time.Millisecond
	longest := min(s.redis.Heartbeat, time.Second)
	var refused *redisconn.PermanentError
	switch {
	case errors.As(err, &refused):
		longest *= 10
	case failures == 0:
		return 0
	default:
		longest = min(longest, shortest<<min(failures, 10))
	}
	return longest/2 + rand.N(longest/2+1)
}

// begins makes the life the current one. Only what is read from now on, with changes being heard, gets the new proof: a
// read that began earlier may have missed one.
func (s *stream) begins(l *life) {
	l.began = true
	s.Current.Store(coherence.NewValidity(0))
	s.life.Store(l)
	s.redis.hooks.Interrupted() // wakes who waits for what was changed in between
	s.hasten()
}

// ended ends what the life proved. It is the goroutine that listens that calls it, so that nothing it heard can be about
// to extend or replace the proof.
func (s *stream) ended(ctx context.Context, l *life, err error) {
	at := mono.Now()
	s.life.Store(nil)
	s.Validity().End()
	if l.began {
		s.redis.hooks.Interrupted()
	}
	if ctx.Err() != nil {
		return
	}
	// A server that can't be reached answers nobody, unless it has answered the caches' client since.
	if !l.reached() && s.canary.answered.Load() < int64(s.health.downSince(at)) {
		s.hush()
	}
	s.down(at, err)
	if l.began || !l.reached() {
		s.hasten() // does Redis still answer?
	}
	if s.troubled != nil {
		s.troubled()
	}
}

// flushed takes the place of all invalidations: what was read before isn't vouched for any more. The connection is
// whole, so the new proof is as good as the old one was. Who took the old one before this moment has one that ends, who
// takes the new one reads after the flush.
func (s *stream) flushed() {
	old := s.Current.Load()
	s.Current.Store(coherence.NewValidity(old.Until()))
	old.End()
	s.redis.hooks.Interrupted()
}

// reported takes a canary that the connection brought.
func (s *stream) reported(at mono.Instant) {
	if at <= 0 || at > s.canary.last() {
		return // no canary of ours
	}
	s.Validity().Extend(at.Add(s.redis.MaxAge()))
	s.answeredAt(at)
	s.health.trust(at)
	if l := s.life.Load(); l != nil {
		l.watch.reported(at)
		s.wellOnce(l)
	}
}

// wellOnce tells that all is well, if it is: the proof holds and the connection is answered.
func (s *stream) wellOnce(l *life) {
	if s.Validity().Holds(mono.Now()) && l.watch.pong.Load() > 0 {
		s.up()
	}
}

// hasten has a canary sent now.
func (s *stream) hasten() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}
