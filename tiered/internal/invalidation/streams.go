package invalidation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// Mode is what the streams listen to.
type Mode uint8

// The modes, in the order of tiered.Invalidation.
const (
	Tracking Mode = iota // each master reports the changes of keys itself
	PubSub               // processes publish what they change
	None                 // nothing is reported
)

// minFirstOutcome is how long the first outcome is waited for at least.
const minFirstOutcome = 500 * time.Millisecond

// Streams are the invalidation streams of one Redis: one for each master, or a single one.
type Streams struct {
	*redisconn.Conn
	mode     Mode
	hooks    Hooks
	only     *stream   // nil with a Cluster's topology
	topology *topology // nil with a single stream
	pubsub   *pubsub   // nil unless PubSub

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Hooks are what the streams call.
type Hooks struct {
	Changed     func(key string)      // a key of Redis was changed
	Shared      func(key string) bool // reports whether several caches of this process have the key, so that each must hear what the others change
	Interrupted func()                // changes may have gone unheard
	Answered    func()                // Redis answers
}

// New returns the streams of the connection's servers, which Start starts.
func New(c *redisconn.Conn, m Mode, caches Hooks) *Streams {
	r := &Streams{Conn: c, mode: m, hooks: caches}
	c.Needs = r.needs
	c.Life, r.stop = context.WithCancel(context.Background())
	return r
}

// Start begins to listen. It returns an error if that can't succeed.
func (r *Streams) Start() error {
	var err error
	switch r.mode {
	case None:
		r.only = newStream(r, nil, redisconn.AddrOf(r.Client))
		r.only.NoEvents = true
		r.only.Current.Store(coherence.Always)
	case PubSub:
		if r.pubsub, err = newPubSub(r); err == nil {
			r.Publish = r.pubsub.publish
			r.only = newStream(r, r.pubsub, r.pubsub.name)
		}
	default:
		switch client := r.Client.(type) {
		case *redis.Client:
			addr := client.Options().Addr
			r.only = newStream(r, &tracking{redis: r, options: client.Options(), client: client}, addr)
		case *redis.ClusterClient:
			r.topology = newTopology(r, client)
		default:
			err = fmt.Errorf("tiered: NewRedis: Tracking takes a *redis.Client or a *redis.ClusterClient, not a %T: "+
				"want one of those, or RedisOptions.Invalidation: None", client)
		}
	}
	if err != nil {
		return err
	}
	r.startBreakers()
	return r.firstOutcomes()
}

// startBreakers makes those that aren't made with a master's stream.
func (r *Streams) startBreakers() {
	only := r.only
	cluster, ok := r.Client.(*redis.ClusterClient)
	switch {
	case !ok:
		r.Nodes.Only = only.newNode()
	case only == nil:
		t := r.topology
		r.NewClusterBreaker(cluster, t.unknown)
		r.Nodes.Unknown = &redisconn.Node{Feed: t.unknown, Breaker: r.Nodes.Lost}
		r.Nodes.Find, r.Nodes.Each = t.nodeOf, t.nodes
	default:
		r.NewClusterBreaker(cluster, nil)
		r.Nodes.Shared = &only.Feed
	}
}

// newNode makes the node of the stream's server.
func (s *stream) newNode() *redisconn.Node {
	s.breaker = s.redis.NewBreaker(s.health.where, &s.Feed)
	s.breaker.Hasten = s.sendCanarySoon
	s.breaker.Logged = func(at mono.Instant) bool { return s.health.toldLately(at, mono.Times(2, s.redis.MaxAge())) }
	if s.NoEvents {
		s.breaker.ProbeWith = func(ctx context.Context) error { return s.redis.Probe(ctx, s.redis.Client) }
	}
	return &redisconn.Node{Feed: &s.Feed, Breaker: s.breaker}
}

// firstOutcomes waits until it is known of every master whether its invalidations arrive, but not for long. It returns an
// error only where they won't ever.
func (r *Streams) firstOutcomes() error {
	defer r.stopWaiting()
	late, stop := context.WithTimeout(r.Life, max(mono.Times(2, r.Timeout), minFirstOutcome))
	defer stop()
	switch {
	case r.topology != nil:
		r.running.Go(func() { r.topology.run(r.Life) })
		select {
		case <-r.topology.seen:
		case <-late.Done():
		}
	case !r.only.NoEvents:
		r.only.start(r.Life)
	}
	var refused []error
	if r.topology != nil {
		if err := r.topology.refused(); err != nil {
			return fmt.Errorf("tiered: NewRedis: %w", err)
		}
	}
	answers := false
	for _, s := range r.all() {
		if s.NoEvents {
			answers = true // nobody has found out
			break
		}
		select {
		case <-s.known:
			if s.refused != nil {
				refused = append(refused, fmt.Errorf("redis %s: %w", s.health.where(), s.refused))
			}
			answers = answers || s.refused != nil || s.canary.answered.Load() > 0 || s.Validity().Holds(mono.Now())
		case <-late.Done():
		}
	}
	if answers { // else this would only wait for it
		if err := r.CheckCapabilities(late); err != nil {
			refused = append(refused, err)
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("tiered: NewRedis: %w", redisconn.Join(refused))
	}
	return nil
}

// stopWaiting has the streams log what NewRedis doesn't return any more.
func (r *Streams) stopWaiting() {
	r.Started.Store(true)
	r.logLate()
}

func (r *Streams) logLate() {
	if !r.Started.Load() {
		return
	}
	for _, s := range r.all() {
		if !s.NoEvents {
			s.firstOutcome(errStarting)
		}
	}
}

// all returns the streams in the order of their addresses.
func (r *Streams) all() []*stream {
	if r.only != nil {
		return []*stream{r.only}
	}
	if r.topology == nil {
		return nil
	}
	var all []*stream
	for _, s := range *r.topology.streams.Load() {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *stream) int { return cmp.Compare(a.health.name, b.health.name) })
	return all
}

// Close returns when nothing of the streams runs any more, or patience ends: a dialer may not heed its context. What isn't proved may be served from then on: there is
// no Redis to ask.
func (r *Streams) Close(patience context.Context) {
	r.stop()
	redisconn.WaitUntil(patience, r.running.Wait)
	for _, s := range r.all() {
		s.markClosed()
	}
	if r.topology != nil {
		r.Nodes.Lost.Mute()
	}
}

// Status returns since when what doesn't arrive, or isn't asked, and why.
func (r *Streams) Status() error {
	if t := r.topology; t != nil {
		if err := t.status(); err != nil {
			return err
		}
	}
	var errs []error
	for _, s := range r.all() {
		errs = append(errs, s.status())
	}
	for _, b := range r.Breakers() {
		errs = append(errs, b.Status())
	}
	errs = append(errs, r.Capabilities.Status(), r.Refusals.Status())
	return errors.Join(errs...)
}

// needs queues the commands that the caches' client needs for the invalidations. The stream's own connection shows the rest.
func (r *Streams) needs(ctx context.Context, p redis.Pipeliner) {
	switch r.mode {
	case Tracking:
		p.Ping(ctx)
		p.SetXX(ctx, r.canaries()+"rights", "", redis.KeepTTL)
	case PubSub:
		p.Ping(ctx)
		p.Publish(ctx, r.ControlPrefix()+r.ID+":rights", "")
	}
}
