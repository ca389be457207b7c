package invalidation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// minFirstOutcome is how long Start waits at least until it knows whether a stream works.
const minFirstOutcome = 500 * time.Millisecond

// Streams are the invalidation streams of one Redis: one for each master, or a single one.
//
// NewRedis calls New and Start. Start makes the streams, gives the Conn its servers and breakers, and starts the
// streams. Then it waits a little for their first outcomes, so that a configuration that can't work is an error of
// NewRedis, and not only a line in the log. A Redis that is down, slow or still loading isn't one: the streams go on
// trying. From the end of Start on (Started) all errors go to the log and to Status. The caches subscribe to the
// Registry, whose hooks New has got.
//
// Close ends the streams first, so that none opens a breaker or starts a call any more, then the calls and the
// batchers, and waits for all of them together no longer than Timeout.
type Streams struct {
	group
	only     *stream   // nil with a Cluster's topology
	topology *topology // nil with a single stream
	pubsub   *pubsub   // nil unless PubSub
	stop     context.CancelFunc
}

// New returns the streams of the connection's servers. Start starts them.
func New(c *redisconn.Conn, m Mode, caches Hooks) *Streams {
	ss := &Streams{group: group{Conn: c, mode: m, hooks: caches}}
	c.Capabilities.InvalidationCommands = ss.queueCommands
	c.Context, ss.stop = context.WithCancel(context.Background())
	return ss
}

// Start starts the streams. It returns an error if they can't work.
func (ss *Streams) Start() error {
	var err error
	switch ss.mode {
	case None:
		ss.only = newStream(&ss.group, nil, redisconn.AddrOf(ss.Client))
		ss.only.NoEvents = true
		ss.only.Current.Store(coherence.Always)
	case PubSub:
		if ss.pubsub, err = newPubSub(&ss.group); err == nil {
			ss.Publish = ss.pubsub.publish
			ss.only = newStream(&ss.group, ss.pubsub, ss.pubsub.name)
		}
	default:
		switch client := ss.Client.(type) {
		case *redis.Client:
			ss.only = newTracking(&ss.group, client.Options(), client, nil)
		case *redis.ClusterClient:
			ss.topology = newTopology(&ss.group, client)
		default:
			err = fmt.Errorf("tiered: NewRedis: Tracking takes a *redis.Client or a *redis.ClusterClient, not a %T: "+
				"want one of those, or RedisOptions.Invalidation: None", client)
		}
	}
	if err != nil {
		return err
	}
	ss.startBreakers()
	return ss.firstOutcomes()
}

// startBreakers makes the breakers that aren't made with the stream of a master.
func (ss *Streams) startBreakers() {
	only := ss.only
	cluster, ok := ss.Client.(*redis.ClusterClient)
	switch {
	case !ok:
		ss.Nodes.Only = only.newNode()
	case only == nil:
		t := ss.topology
		ss.Nodes.NewClusterBreaker(cluster, t.unknown)
		ss.Nodes.Unknown = &redisconn.Node{Feed: t.unknown, Breaker: ss.Nodes.ClusterBreaker}
		ss.Nodes.Find, ss.Nodes.All = t.nodeOf, t.nodes
	default:
		ss.Nodes.NewClusterBreaker(cluster, nil)
		ss.Nodes.Shared = &only.Feed
	}
}

// firstOutcomes starts the streams, and waits for a while until it is known of every master whether its invalidations arrive.
// It returns an error only if they can't arrive until a configuration is changed.
func (ss *Streams) firstOutcomes() error {
	defer ss.stopWaiting()
	late, stop := context.WithTimeout(ss.Context, max(mono.Times(2, ss.Timeout), minFirstOutcome))
	defer stop()
	switch t := ss.topology; {
	case t != nil:
		ss.running.Go(func() { t.run(ss.Context) })
		select {
		case <-t.scanned:
		case <-late.Done():
		}
		if err := t.refused(); err != nil {
			return fmt.Errorf("tiered: NewRedis: %w", err)
		}
	case !ss.only.NoEvents:
		ss.only.start(ss.Context)
	}
	refused, answers := ss.awaitOutcomes(late)
	if answers { // else this would only wait for it
		if err := ss.Capabilities.Check(late); err != nil {
			refused = append(refused, err)
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("tiered: NewRedis: %w", redisconn.Join(refused))
	}
	return nil
}

// awaitOutcomes waits until the first outcome of each stream is known, or ctx ends. It returns the errors of those that Redis
// refuses, and reports whether a server answers, as far as is known.
func (ss *Streams) awaitOutcomes(ctx context.Context) (refused []error, answers bool) {
	for _, s := range ss.all() {
		if s.NoEvents {
			return nil, true // it isn't known
		}
		select {
		case <-s.outcomeKnown:
			if s.refused != nil {
				refused = append(refused, fmt.Errorf("redis %s: %w", s.status.where(), s.refused))
			}
			answers = answers || s.refused != nil || s.canary.answered.Load() > 0 || s.Validity().Holds(mono.Now())
		case <-ctx.Done():
		}
	}
	return refused, answers
}

// stopWaiting has the streams log the errors that NewRedis doesn't return any more.
func (ss *Streams) stopWaiting() {
	ss.Started.Store(true)
	endFirstOutcomes(ss.all())
}

// Follow has the streams report the changes of a cache that was added to the Registry. It waits for those that are up, no longer than
// Timeout. What is read from the servers of the others has no validity until their streams report the cache.
func (ss *Streams) Follow(name string) {
	ctx, stop := context.WithTimeout(ss.Context, ss.Timeout)
	defer stop()
	all := ss.all()
	for _, s := range all {
		wake(s.opened)
	}
	for _, s := range all {
		s.awaitReports(ctx, name)
	}
}

// all returns the streams in the order of their addresses.
func (ss *Streams) all() []*stream {
	switch {
	case ss.only != nil:
		return []*stream{ss.only}
	case ss.topology != nil:
		return ss.topology.streams()
	}
	return nil
}

// Close ends the streams and their Conn. It returns when all goroutines and calls have ended, or after Timeout: a dialer may ignore
// its context, and a server may not answer. From then on values are served whose validity has run out, since there is no Redis to
// ask.
func (ss *Streams) Close() {
	ctx, stop := context.WithTimeout(context.Background(), ss.Timeout)
	defer stop()
	ss.close(ctx)
	ss.Calls.Close()
	ss.CloseBatchers()
	redisconn.WaitUntil(ctx, ss.Calls.Wait)
}

// close ends the streams alone. It returns when their goroutines have ended, or when ctx ends.
func (ss *Streams) close(ctx context.Context) {
	ss.stop()
	redisconn.WaitUntil(ctx, ss.running.Wait)
	for _, s := range ss.all() {
		s.markUnreachable()
	}
	if ss.topology != nil {
		ss.Nodes.ClusterBreaker.MarkUnreachable()
	}
}

// Lost returns how often invalidations ceased to arrive from a server.
func (ss *Streams) Lost() uint64 { return ss.lost.Load() }

// Status returns an error that says which invalidations don't arrive, which servers aren't asked and what they refuse: since
// when, and why.
func (ss *Streams) Status() error {
	if t := ss.topology; t != nil {
		if err := t.statusError(); err != nil {
			return err
		}
	}
	var errs []error
	for _, s := range ss.all() {
		errs = append(errs, s.statusError())
	}
	for _, b := range ss.Nodes.Breakers() {
		errs = append(errs, b.Status())
	}
	errs = append(errs, ss.Capabilities.Status(), ss.Refusals.Status())
	return errors.Join(errs...)
}

// queueCommands queues the commands that the caches' client needs for the invalidations. The stream's own connection finds out about the
// others.
func (ss *Streams) queueCommands(ctx context.Context, pipe redis.Pipeliner) {
	switch ss.mode {
	case Tracking, TrackingKeys:
		pipe.Ping(ctx)
		pipe.SetXX(ctx, ss.canaryPrefix()+"rights", "", redis.KeepTTL)
	case PubSub:
		pipe.Ping(ctx)
		pipe.Publish(ctx, ss.ControlPrefix()+ss.ID+":rights", "")
	}
}
