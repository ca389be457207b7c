package invalidation

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/go-redis/v9/push"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

const minConnectTime = time.Second

var errSecondConnection = errors.New("a stream has one connection at a time")

// connection is one connection of a stream, from its dial to its end. go-redis would connect again by itself; it is kept from
// that, so that each connection has a validity of its own.
type connection struct {
	stream      *stream
	client      *redis.Client
	pubsub      *redis.PubSub
	established bool // changes are heard; for the goroutine that listens

	greeting *redisconn.PermanentError // why the source was refused, on the goroutine that listens

	mu     sync.Mutex
	dialed bool
	conn   net.Conn
	ended  error // why we closed the connection

	watchdog watchdog
}

func newConnection(s *stream) *connection { return &connection{stream: s} }

// run connects, and reads until the connection or ctx ends.
func (l *connection) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { l.end(ctx.Err()) })()
	base, err := l.stream.transport.server(ctx)
	if err != nil {
		return l.cause("connecting", err)
	}
	patience := max(mono.Times(2, l.stream.redis.MaxAge()), minConnectTime)
	l.client = redis.NewClient(l.options(base, patience))
	defer l.client.Close()
	if err := l.client.RegisterPushNotificationHandler("invalidate", l, true); err != nil {
		return err
	}
	l.pubsub = l.client.Subscribe(ctx) // to nothing yet: it would keep the error to itself
	defer l.pubsub.Close()
	slow := time.AfterFunc(patience, func() { l.end(errUnanswered) })
	defer slow.Stop()
	connecting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := l.subscribe(connecting); err != nil {
		return err
	}
	slow.Stop()
	l.stream.connected(l)
	for {
		m, err := l.receive()
		if err != nil {
			return l.cause("PING", err)
		}
		switch m := m.(type) {
		case *redis.Pong:
			l.watchdog.answered(m.Payload)
			l.stream.recovered(l)
		case *redis.Message:
			l.stream.transport.handle(l.stream, m)
		}
	}
}

// subscribe connects. If Redis refuses what the transport needs, the error also says whether it refuses the subscription.
func (l *connection) subscribe(ctx context.Context) error {
	channels := l.stream.transport.channels()
	if err := l.pubsub.Subscribe(ctx, channels...); err != nil {
		return l.cause("connecting", err)
	}
	for range channels {
		if _, err := l.receive(); err != nil {
			err = l.cause("SUBSCRIBE", err)
			if l.greeting == nil {
				return err
			}
			errors.As(err, &l.greeting.Also)
			return l.greeting
		}
	}
	if l.greeting != nil {
		return l.greeting
	}
	return nil
}

// receive returns what isn't an invalidation: those are handed over on the way.
func (l *connection) receive() (any, error) {
	m, err := l.pubsub.Receive(context.Background())
	l.watchdog.quiet.Store(0)
	return m, err
}

// HandlePushNotification implements go-redis's push.NotificationHandler.
func (l *connection) HandlePushNotification(_ context.Context, _ push.NotificationHandlerContext, message []any) error {
	l.watchdog.quiet.Store(0)
	l.stream.transport.handle(l.stream, message)
	return nil
}

// options are the base's for one connection that is only listened to.
func (l *connection) options(base *redis.Options, patience time.Duration) *redis.Options {
	o := *base
	o.Protocol, o.DisableIdentity = 3, true
	o.PoolSize, o.MinIdleConns, o.MaxActiveConns, o.PipelinePoolSize = 1, 0, 0, -1
	o.DialerRetries, o.MaxRetries = 1, -1
	o.ReadTimeout, o.WriteTimeout, o.ContextTimeoutEnabled = patience, l.stream.redis.Timeout, true
	o.PushNotificationProcessor = redis.NewPushNotificationProcessor() // the base's has handlers of its own
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.ClientSideCacheConfig, o.ClientSideCache, o.Limiter = nil, nil, nil
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		l.mu.Lock()
		again := l.dialed
		l.dialed = true
		l.mu.Unlock()
		if again {
			return nil, errSecondConnection
		}
		conn, err := base.Dialer(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return l.keep(conn)
	}
	o.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if base.OnConnect != nil {
			if err := base.OnConnect(ctx, cn); err != nil {
				return err
			}
		}
		err := l.stream.transport.handshake(ctx, cn)
		if errors.As(err, &l.greeting) {
			err = nil // the connection ends all the same, see subscribe
		}
		return err
	}
	return &o
}

func (l *connection) keep(conn net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		_ = conn.Close()
		return nil, l.ended
	}
	l.conn = &stickyConn{Conn: conn}
	l.stream.health.connected(conn.RemoteAddr().String())
	return l.conn, nil
}

// end closes the connection, which ends what waits for it.
func (l *connection) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == nil {
		l.ended = cause
	}
	if l.conn != nil {
		_ = l.stream.redis.Guard(l.conn.Close)
	}
}

// reached reports whether the server took the connection.
func (l *connection) reached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn != nil
}

// cause returns why the connection ended: our own reason, or the error of the step that failed.
func (l *connection) cause(step string, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return l.ended
	}
	return redisconn.Judge(step, err)
}

// stickyConn is closed by its first error, and keeps to it. go-redis reads on after some, and what it missed would be missed
// unnoticed.
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

// ping is answered over the same connection, after all that Redis had to say before.
func (l *connection) ping() {
	_ = l.stream.redis.Guard(func() error { // if it fails the connection is closed, which ends run
		return l.pubsub.Ping(context.Background(), l.watchdog.nextPing())
	})
}
