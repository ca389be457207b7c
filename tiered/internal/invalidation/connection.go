package invalidation

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/go-redis/v9/push"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

const minConnectTime = time.Second

// What a connection does once it is established.
const (
	stepPing     = "PING"
	stepQuestion = "GETRANGE"
)

var errSecondConnection = errors.New("a stream has one connection at a time")

// connection is one connection of a stream, from its dial to its end. go-redis would connect again by itself. Here it must not, so
// that each connection has a validity of its own.
//
// It is made with a client of its own, with the options of the caches' client: one connection, no retries, and a
// dialer that works once. Its hooks aren't called. What go-redis would do after an error (dial again, or read on)
// ends it instead, see options and stickyConn. All that it receives is handled in the goroutine of run: go-redis
// calls HandlePushNotification for invalidations there, and returns other messages from Receive.
//
// end may be called by any goroutine, at any time: by the watchdog's, by a timer while it connects, or when ctx ends.
// It closes the connection, whereupon the read fails, and run returns the cause that was given first. So ends are
// handled in one place.
//
// What Redis refuses for good in the handshake isn't returned to go-redis at once (handshakeErr): subscribe goes on,
// to find out whether the subscription is refused, too. NewRedis then names both.
type connection struct {
	stream      *stream
	client      *redis.Client
	pubsub      *redis.PubSub
	established bool // changes are reported; for the goroutine that reads

	handshakeErr *redisconn.PermanentError // of the transport; for the goroutine that reads

	mu     sync.Mutex
	dialed bool
	conn   net.Conn
	ended  error // why we closed the connection

	names    askedNames
	awaited  awaitedReplies
	watchdog watchdog
}

func newConnection(s *stream) *connection { return &connection{stream: s} }

// run connects, and reads until the connection or ctx ends.
func (c *connection) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { c.end(ctx.Err()) })()
	base, err := c.stream.transport.serverOptions(ctx)
	if err != nil {
		return c.cause("connecting", err)
	}
	limit := max(mono.Times(2, c.stream.group.MaxAge()), minConnectTime)
	c.client = redis.NewClient(c.options(base, limit))
	defer c.client.Close()
	if err := c.client.RegisterPushNotificationHandler("invalidate", c, true); err != nil {
		return err
	}
	c.pubsub = c.client.Subscribe(ctx) // to nothing yet: it would keep the error to itself
	defer c.pubsub.Close()
	slow := time.AfterFunc(limit, func() { c.end(errUnanswered) })
	defer slow.Stop()
	connecting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := c.subscribe(connecting); err != nil {
		return err
	}
	slow.Stop()
	c.stream.connected(c)
	for {
		m, err := c.receive()
		switch m := m.(type) {
		case *redis.Pong:
			c.replied(m.Payload)
		case *redis.Message:
			c.stream.transport.handle(c.stream, m)
		}
		if err != nil {
			if err := c.failed(err); err != nil {
				return err
			}
		}
	}
}

// replied takes the reply to what was asked first.
func (c *connection) replied(payload string) {
	switch r := c.awaited.next(); {
	case r.question != nil:
		c.stream.questions.answer(*r.question, payload, nil)
	case r.step == stepPing:
		c.answered(payload)
	}
}

// failed takes an error. Redis may refuse to answer a question about a value that is no string, say. Any other error ends the
// connection: failed returns it.
func (c *connection) failed(err error) error {
	r := c.awaited.next()
	if r.question == nil {
		return c.cause(cmp.Or(r.step, stepPing), err)
	}
	c.stream.questions.answer(*r.question, "", err)
	if _, isReply := errors.AsType[redis.Error](err); isReply {
		return nil
	}
	return c.cause(stepPing, err)
}

// subscribe connects. If Redis refuses what the transport needs, the error also says whether it refuses the subscription.
func (c *connection) subscribe(ctx context.Context) error {
	channels := c.stream.transport.channels()
	if err := c.pubsub.Subscribe(ctx, channels...); err != nil {
		return c.cause("connecting", err)
	}
	for range channels {
		if _, err := c.receive(); err != nil {
			err = c.cause("SUBSCRIBE", err)
			if c.handshakeErr == nil {
				return err
			}
			errors.As(err, &c.handshakeErr.Also)
			return c.handshakeErr
		}
	}
	if c.handshakeErr != nil {
		return c.handshakeErr
	}
	return nil
}

// receive returns the next message that isn't an invalidation. Invalidations go to HandlePushNotification meanwhile.
func (c *connection) receive() (any, error) {
	m, err := c.pubsub.Receive(context.Background())
	c.watchdog.silent.Store(0)
	return m, err
}

// HandlePushNotification implements go-redis's push.NotificationHandler.
func (c *connection) HandlePushNotification(_ context.Context, _ push.NotificationHandlerContext, message []any) error {
	c.watchdog.silent.Store(0)
	c.stream.transport.handle(c.stream, message)
	return nil
}

// options returns the base's options, changed for a single connection that receives messages.
func (c *connection) options(base *redis.Options, limit time.Duration) *redis.Options {
	o := *base
	o.Protocol, o.DisableIdentity = 3, true
	o.PoolSize, o.MinIdleConns, o.MaxActiveConns, o.PipelinePoolSize = 1, 0, 0, -1
	o.DialerRetries, o.MaxRetries = 1, -1
	o.ReadTimeout, o.WriteTimeout, o.ContextTimeoutEnabled = limit, c.stream.group.Timeout, true
	o.PushNotificationProcessor = redis.NewPushNotificationProcessor() // the base's has handlers of its own
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.ClientSideCacheConfig, o.ClientSideCache, o.Limiter = nil, nil, nil
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c.mu.Lock()
		again := c.dialed
		c.dialed = true
		c.mu.Unlock()
		if again {
			return nil, errSecondConnection
		}
		conn, err := base.Dialer(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return c.setConn(conn)
	}
	o.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if base.OnConnect != nil {
			if err := base.OnConnect(ctx, cn); err != nil {
				return err
			}
		}
		var names []string
		if c.stream.group.mode == Tracking {
			names = c.stream.group.hooks.Names()
			c.names.begin(names)
		}
		err := c.stream.transport.handshake(ctx, cn, names)
		if errors.As(err, &c.handshakeErr) {
			err = nil // the connection ends all the same, see subscribe
		}
		return err
	}
	return &o
}

func (c *connection) setConn(conn net.Conn) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		_ = conn.Close()
		return nil, c.ended
	}
	c.conn = &stickyConn{Conn: conn}
	c.stream.status.connected(conn.RemoteAddr().String())
	return c.conn, nil
}

// end closes the connection, which ends run.
func (c *connection) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.ended = cause
	}
	if c.conn != nil {
		_ = c.stream.group.CatchPanics(c.conn.Close)
	}
}

// reached reports whether the server accepted the connection.
func (c *connection) reached() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

// cause returns why the connection ended: the reason given to end, or the error of the step that failed.
func (c *connection) cause(step string, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	return redisconn.StepError(step, err)
}

// stickyConn is closed by its first error, which all later reads return. After some errors go-redis reads on, and would miss
// messages without notice.
type stickyConn struct {
	net.Conn
	failed error // one goroutine reads
}

func (c *stickyConn) Read(b []byte) (int, error) {
	if c.failed != nil {
		return 0, c.failed
	}
	n, err := c.Conn.Read(b)
	if err != nil {
		c.failed = err
		_ = c.Close()
	}
	return n, err
}

// ping asks Redis to report the caches that were opened since it was last asked, and sends a PING. Redis answers it over the same
// connection, after all earlier reports. Only heartbeatLoop calls it, and writes to an established connection.
func (c *connection) ping() {
	g := c.stream.group
	number := c.watchdog.nextPing()
	missing := c.names.add(g.hooks.Names(), number)
	_ = g.CatchPanics(func() error { // if the PING fails the connection is closed, which ends run
		if len(missing) > 0 {
			c.write(redisconn.StepTracking, c.stream.transport.follow(missing), awaitedReply{step: redisconn.StepTracking})
		}
		c.awaited.add(awaitedReply{step: stepPing})
		return c.pubsub.Ping(context.Background(), strconv.FormatInt(number, 10))
	})
}

// questionBytes is about how much a question sends.
const questionBytes = 128

// ask sends questions. Only heartbeatLoop calls it.
func (c *connection) ask(questions []question) {
	replies := make([]awaitedReply, len(questions))
	commands := make([]byte, 0, len(questions)*questionBytes)
	for i := range questions {
		q := &questions[i]
		replies[i].question = q
		commands = appendCommand(commands, "GETRANGE", q.key, "0", strconv.Itoa(q.length-1))
	}
	c.write(stepQuestion, commands, replies...)
}

// write sends commands for which go-redis has no method.
func (c *connection) write(step string, commands []byte, replies ...awaitedReply) {
	if !c.awaited.add(replies...) {
		c.stream.drop(replies)
		return
	}
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	err := c.stream.group.CatchPanics(func() error {
		err := conn.SetWriteDeadline(time.Now().Add(c.stream.group.Timeout))
		if err == nil {
			_, err = conn.Write(commands)
		}
		return err
	})
	if err != nil {
		c.end(redisconn.StepError(step, err)) // Redis may have got half of it
	}
}

// answered takes a PONG.
func (c *connection) answered(payload string) {
	number, err := strconv.ParseInt(payload, 10, 64)
	if err != nil {
		return
	}
	c.watchdog.answered(number)
	if names := c.names.answered(number); len(names) > 0 {
		c.stream.follows(names, c.names.confirmed())
	}
	c.stream.recovered(c)
}
