package invalidation

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// stream receives the invalidations of one server of Redis, over one connection at a time. The package documentation says why it
// can be relied on.
//
// The goroutine of connectLoop reads the connection. It alone changes the validity: connected, disconnected, flushed
// and canaryReported run there, one after the other, so that no report is about to extend a validity while it is
// replaced. heartbeatLoop and the goroutines of canaries send, note in status and breaker what came of it, and may
// close the connection.
//
// The parts: canary has the canaries under way, status what is said about the stream, connection and its watchdog
// what is known of the present connection, and breaker whether the server is asked. A stream of many servers has no
// breaker: it sets Unreachable itself.
type stream struct {
	coherence.Feed

	group     *group
	transport transport
	stop      context.CancelFunc
	rescan    func()        // nil, or called when the server may no longer be a master
	wake      chan struct{} // has a canary sent at once
	opened    chan struct{} // has Redis asked to report the caches that were opened
	asked     chan struct{} // has the questions sent that wait
	progress  signal        // of the names that are reported

	outcomeKnown chan struct{}             // closed when the first outcome is known
	refused      *redisconn.PermanentError // the first outcome, if Redis refuses what the stream needs
	once         sync.Once

	questions questions
	canary    canaryState
	status    status
	breaker   *redisconn.Breaker         // nil: the stream is that of many servers
	node      *redisconn.Node            // with the breaker
	conn      atomic.Pointer[connection] // nil: there is none that receives changes
}

// transport is how the changes of keys reach a stream.
type transport interface {
	// serverOptions returns the options of a client of the server to connect to.
	serverOptions(ctx context.Context) (*redis.Options, error)
	// handshake is called on each new connection, before it subscribes to the channels. The names are those of the caches.
	handshake(ctx context.Context, cn *redis.Conn, names []string) error
	channels() []string
	// disconnected is called when a connection has ended.
	disconnected()
	// follow returns the bytes of the command that adds names to an established connection.
	follow(names []string) []byte
	// sendCanary has the client that the caches use send a canary of the instant.
	sendCanary(ctx context.Context, at mono.Instant) error
	// handle takes a message of the connection: the elements of an invalidation, or a *redis.Message.
	handle(s *stream, message any)
}

func newStream(g *group, from transport, name string) *stream {
	s := &stream{group: g, transport: from, outcomeKnown: make(chan struct{})}
	s.wake, s.opened, s.asked = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	s.status.name, s.status.since = name, mono.Now()
	s.Current.Store(coherence.Never)
	if g.tracks() {
		s.Ask = s.ask
	}
	return s
}

// newNode makes the node of the stream's server.
func (s *stream) newNode() *redisconn.Node {
	s.breaker = s.group.Nodes.NewBreaker(s.status.where, &s.Feed)
	s.breaker.SendCanary = s.sendCanarySoon
	s.breaker.OutageLogged = func(at mono.Instant) bool { return s.status.loggedRecently(at, mono.Times(2, s.group.MaxAge())) }
	if s.NoEvents {
		s.breaker.ProbeWith = func(ctx context.Context) error { return s.group.Probe(ctx, s.group.Client) }
	}
	return &redisconn.Node{Feed: &s.Feed, Breaker: s.breaker}
}

// start starts the stream, which runs until ctx ends or it is stopped.
func (s *stream) start(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	s.group.running.Go(func() { s.connectLoop(ctx) })
	s.group.running.Go(func() { s.heartbeatLoop(ctx) })
}

// connectLoop makes one connection after the other.
func (s *stream) connectLoop(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		c := newConnection(s)
		err := s.group.CatchPanics(func() error { return c.run(ctx) })
		s.disconnected(ctx, c, err)
		if c.established {
			failures = 0
		}
		mono.Sleep(ctx, s.pause(failures, err), nil)
		failures++
	}
}

// pause returns how long to wait before the next connection. What Redis refuses, it will refuse for a while.
func (s *stream) pause(failures int, err error) time.Duration {
	const shortest = 10 * time.Millisecond
	longest := min(s.group.Heartbeat, time.Second)
	var refused *redisconn.PermanentError
	switch {
	case errors.As(err, &refused):
		longest *= 10
	case failures == 0:
		return 0
	default:
		longest = min(longest, shortest<<min(failures, 10))
	}
	return mono.Jitter(longest)
}

// connected makes the connection the current one. Only what is read from now on, while changes are reported, gets the new
// validity: a read that began earlier may have missed a change.
func (s *stream) connected(c *connection) {
	c.established = true
	s.SetReported(c.names.confirmed())
	s.Current.Store(coherence.NewValidity(0))
	s.conn.Store(c)
	s.group.hooks.Interrupted() // a wait for a change may have missed it
	s.progress.send()
	s.sendCanarySoon()
}

// disconnected ends the validity of what was read while the connection was there. The goroutine that reads the connection calls
// it, so that no report can be about to extend or replace that validity.
func (s *stream) disconnected(ctx context.Context, c *connection, err error) {
	at := mono.Now()
	s.conn.Store(nil)
	s.Validity().End()
	s.transport.disconnected()
	s.drop(c.awaited.end())
	s.progress.send()
	if c.established {
		s.group.hooks.Interrupted()
	}
	if ctx.Err() != nil {
		return
	}
	// A server that can't be reached doesn't answer the caches' client either, unless it has done so since.
	if !c.reached() && s.canary.answered.Load() < int64(s.status.downSince(at)) {
		s.markUnreachable()
	}
	s.down(at, err)
	if c.established || !c.reached() {
		s.sendCanarySoon() // does Redis still answer?
	}
	if s.rescan != nil {
		s.rescan()
	}
}

// flushed invalidates all keys: what was read before isn't valid any more. The connection is still there, so the new validity
// lasts as long as the old one did. A reader that took the old one before this moment has one that ends; a reader that takes the
// new one reads after the flush.
func (s *stream) flushed() {
	old := s.Current.Load()
	s.Current.Store(coherence.NewValidity(old.Until()))
	old.End()
	s.group.hooks.Interrupted()
}

// canaryReported takes the report of a canary.
func (s *stream) canaryReported(at mono.Instant) {
	if at <= 0 || at > s.canary.last() {
		return // not a canary of this stream
	}
	s.Validity().Extend(at.Add(s.group.MaxAge()))
	if int64(at) > s.canary.refused.Load() { // an earlier one may be reported once more, as it expires
		s.canary.refused.Store(0)
	}
	s.answeredByReport(at)
	s.status.forgetCause(at)
	if c := s.conn.Load(); c != nil {
		c.watchdog.reported(at)
		s.recovered(c)
	}
}

// recovered notes that invalidations arrive, if the validity holds and Redis answers on the connection. While canaries are refused, the
// validity is one that is about to run out.
func (s *stream) recovered(c *connection) {
	if s.canary.refused.Load() == 0 && s.Validity().Holds(mono.Now()) && c.watchdog.pong.Load() > 0 {
		s.up()
	}
}

// follows notes that changes of the new names are reported from now on. All has them and the others that are reported.
func (s *stream) follows(names []string, all coherence.Names) {
	s.group.hooks.Reported(names)
	s.SetReported(all)
	s.progress.send()
}

// awaitReports waits until the stream reports the changes of the name's caches, isn't up, or ctx ends.
func (s *stream) awaitReports(ctx context.Context, name string) {
	for {
		next := s.progress.next()
		if s.Reported().Has(name) || !s.Validity().Holds(mono.Now()) {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// ask asks for the first bytes of a key's value. reply gets them, in order with the reports of changes; it must be short. ask returns
// false, and reply isn't called, if there is no connection or there are too many questions.
func (s *stream) ask(key string, length int, reply func(beginning string, err error)) bool {
	if s.conn.Load() == nil || !s.questions.add(question{key, length, reply}) {
		return false
	}
	wake(s.asked)
	return true
}

// drop ends the questions among the replies, which won't come.
func (s *stream) drop(replies []awaitedReply) {
	for _, r := range replies {
		if r.question != nil {
			s.questions.answer(*r.question, "", errConnectionEnded)
		}
	}
}

// sendCanarySoon has a canary sent now.
func (s *stream) sendCanarySoon() { wake(s.wake) }

// wake puts an element into a channel that has room for one, unless it has one.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
