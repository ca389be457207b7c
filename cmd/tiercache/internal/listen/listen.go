// Package listen receives what a Redis server reports: the keys that were changed (CLIENT TRACKING) and messages (SUBSCRIBE).
package listen

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/go-redis/v9/push"
)

// Options says what to listen to.
type Options struct {
	Redis    *redis.Options // of a client of the server
	Prefixes []string       // the changes of keys that begin with one of these are reported; none: no changes are
	Channels []string       // the messages on these are reported; at least one
}

// Event is what a server reported, or what happened to the connection.
type Event struct {
	Keys    []string // were changed
	Flushed bool     // a database was flushed, which changed every key in it

	Channel, Message string // a message

	Lost    error // the connection was lost: what happens until Resumed isn't reported
	Resumed bool  // there is a connection again
}

// A Listener has one connection to a server, which it makes again when it is lost.
type Listener struct {
	Events <-chan Event // in the order in which the server reported them; closed by Close

	events  chan Event
	client  *redis.Client
	pubsub  *redis.PubSub
	done    chan struct{}
	reading sync.WaitGroup
	closing sync.Once
}

// Open returns when the server has confirmed that it reports everything from now on. It returns an error if it refuses, or if ctx
// ends before that. The caller must read Events, and close the Listener.
func Open(ctx context.Context, o Options) (*Listener, error) {
	l := &Listener{events: make(chan Event), done: make(chan struct{})}
	l.Events = l.events
	l.client = redis.NewClient(clientOptions(o))
	if err := l.client.RegisterPushNotificationHandler("invalidate", l, true); err != nil {
		_ = l.client.Close()
		return nil, err
	}
	l.pubsub = l.client.Subscribe(ctx) // to nothing yet: it would keep the error to itself
	if err := l.subscribe(ctx, o.Channels); err != nil {
		_ = l.pubsub.Close()
		_ = l.client.Close()
		return nil, err
	}
	l.reading.Go(l.read)
	return l, nil
}

// clientOptions returns the options of a client with one connection, which has changes reported.
func clientOptions(o Options) *redis.Options {
	c := *o.Redis
	c.Protocol, c.DisableIdentity = 3, true
	c.PoolSize, c.MinIdleConns, c.MaxActiveConns = 1, 0, 0
	c.DialerRetries, c.MaxRetries = 1, -1
	c.ContextTimeoutEnabled = true
	c.PushNotificationProcessor = redis.NewPushNotificationProcessor() // a client's may not be shared
	c.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if o.Redis.OnConnect != nil {
			if err := o.Redis.OnConnect(ctx, cn); err != nil {
				return err
			}
		}
		if len(o.Prefixes) == 0 {
			return nil
		}
		if err := cn.Hello(ctx, 3, "", "", "").Err(); err != nil { // go-redis itself goes on with RESP2, on which nothing is reported
			return fmt.Errorf("HELLO 3: %w", err)
		}
		if err := cn.ClientTrackingOn(ctx, &redis.ClientTrackingOptions{Bcast: true, Prefixes: o.Prefixes}).Err(); err != nil {
			return fmt.Errorf("CLIENT TRACKING: %w", err)
		}
		return nil
	}
	return &c
}

// subscribe waits for the confirmations.
func (l *Listener) subscribe(ctx context.Context, channels []string) error {
	if err := l.pubsub.Subscribe(ctx, channels...); err != nil {
		return err
	}
	for range channels {
		limit := time.Minute
		if end, ok := ctx.Deadline(); ok {
			limit = time.Until(end)
		}
		if _, err := l.pubsub.ReceiveTimeout(ctx, limit); err != nil {
			return fmt.Errorf("SUBSCRIBE: %w", err)
		}
	}
	return nil
}

// read receives until the Listener is closed. Changes go to HandlePushNotification meanwhile.
func (l *Listener) read() {
	defer close(l.events)
	lost := false
	for {
		m, err := l.pubsub.Receive(context.Background())
		select {
		case <-l.done:
			return
		default:
		}
		switch m := m.(type) {
		case *redis.Message:
			l.send(Event{Channel: m.Channel, Message: m.Payload})
		case *redis.Subscription:
			if lost {
				lost = false
				l.send(Event{Resumed: true})
			}
		}
		if err == nil {
			continue
		}
		if !lost {
			lost = true
			l.send(Event{Lost: err})
		}
		select { // go-redis connects again in Receive
		case <-l.done:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// HandlePushNotification implements go-redis's push.NotificationHandler. The message is its name, and a list of keys or, for a flush,
// nil.
func (l *Listener) HandlePushNotification(_ context.Context, _ push.NotificationHandlerContext, message []any) error {
	if len(message) < 2 {
		return nil
	}
	list, some := message[1].([]any)
	if !some {
		l.send(Event{Flushed: true})
		return nil
	}
	var keys []string
	for _, k := range list {
		if key, ok := k.(string); ok {
			keys = append(keys, key)
		}
	}
	l.send(Event{Keys: keys})
	return nil
}

func (l *Listener) send(e Event) {
	select {
	case l.events <- e:
	case <-l.done:
	}
}

// Await reads events until ok returns true, and returns that one. It returns false if ctx ends, or the connection, before that.
func (l *Listener) Await(ctx context.Context, ok func(Event) bool) bool {
	for {
		select {
		case e, open := <-l.Events:
			if !open || e.Lost != nil {
				return false
			}
			if ok(e) {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// Close closes the connection and Events.
func (l *Listener) Close() {
	l.closing.Do(func() {
		close(l.done)
		_ = l.pubsub.Close()
		_ = l.client.Close()
		l.reading.Wait()
	})
}
