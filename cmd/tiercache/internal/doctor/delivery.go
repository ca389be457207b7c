package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/listen"
)

// deliverWithin is how long a report may take.
const deliverWithin = time.Second

var errNotReported = errors.New("nothing arrived within a second")

// examineTracking changes a key of the server, and waits until the server reports that.
func (e *examination) examineTracking(ctx context.Context, s *server) {
	ctx, stop := context.WithTimeout(ctx, 2*deliverWithin)
	defer stop()
	key, err := e.keyOn(ctx, s)
	if err == nil {
		err = e.deliver(ctx, s, delivery{
			check: tracking, what: "a change of a key", options: listen.Options{Prefixes: []string{key}, Channels: []string{key}},
			change:  func(ctx context.Context) error { return s.Set(ctx, key, "", deliverWithin).Err() },
			reports: func(e listen.Event) bool { return slices.Contains(e.Keys, key) },
		})
	}
	s.mute = errors.Is(err, errNotReported)
}

// examinePubSub publishes a message and waits for it.
func (e *examination) examinePubSub(ctx context.Context, s *server) {
	ctx, stop := context.WithTimeout(ctx, 2*deliverWithin)
	defer stop()
	channel := e.control() + "doctor-" + rand.Text()
	_ = e.deliver(ctx, s, delivery{
		check: pubSub, what: "a message", options: listen.Options{Channels: []string{channel}},
		change:  func(ctx context.Context) error { return s.Publish(ctx, channel, "").Err() },
		reports: func(e listen.Event) bool { return e.Channel == channel },
	})
}

// delivery is a change that a server must report.
type delivery struct {
	check, what string
	options     listen.Options
	change      func(context.Context) error
	reports     func(listen.Event) bool // reports whether an event is the report of the change
}

// deliver makes the change, and reports how long it took until its report arrived.
func (e *examination) deliver(ctx context.Context, s *server, d delivery) error {
	d.options.Redis = s.Options()
	l, err := listen.Open(ctx, d.options)
	if err != nil {
		return err // the library names it
	}
	defer l.Close()
	ctx, stop := context.WithTimeout(ctx, deliverWithin)
	defer stop()
	began := time.Now()
	if err := d.change(ctx); err != nil {
		return err // the library names this, too
	}
	if !l.Await(ctx, d.reports) {
		e.found(s, d.check, Warning, d.what+" isn't reported: "+errNotReported.Error(), "connect to Redis itself, without a proxy, or use another Invalidation")
		return errNotReported
	}
	e.measured(s, d.check, OK, fmt.Sprintf("%s is reported after %v", d.what, rounded(time.Since(began))), "")
	return nil
}

// keyOn returns a key that no cache has, and that the server has the slot of.
func (e *examination) keyOn(ctx context.Context, s *server) (string, error) {
	name := e.control() + "doctor-" + rand.Text() + ":"
	cluster, ok := e.client.(*redis.ClusterClient)
	if !ok {
		return name, nil
	}
	for tag := range 1 << 17 { // a node may have one slot only, of 16384
		key := name + "{" + strconv.Itoa(tag) + "}"
		node, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return "", err
		}
		if node.Options().Addr == s.name {
			return key, nil
		}
	}
	return "", errors.New("the node has no slots")
}
