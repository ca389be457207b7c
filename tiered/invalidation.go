package tiered

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Invalidation is how a process hears of what others change in Redis.
type Invalidation uint8

const (
	// Tracking has Redis itself report every change of a key under the Prefix, whoever made it.
	Tracking Invalidation = iota
	// PubSub has the caches publish what they change. It doesn't see foreign writers, evictions or a FLUSHALL. In a
	// Cluster the messages of writers that see different topologies, as in a failover, may overtake each other on
	// their way between the nodes, and so may be late by more than Heartbeat + Timeout.
	PubSub
	// None hears nothing: another process's change shows after LocalTTL, that of a tag or by Clear after
	// Heartbeat + Timeout, for which the local tier asks Redis at that interval. Who waits for another process's load
	// polls.
	None
)

const (
	defaultHeartbeat = time.Second
	minFirstOutcome  = 500 * time.Millisecond // NewRedis waits at least this long
)

// streams are those of one Redis: one a master, or a single one.
type streams struct {
	only     *stream   // nil with a Cluster's topology
	topology *topology // nil with a single stream
	bulletin *bulletin // nil unless PubSub
	nodes    nodes

	id      string // tells this Redis object from all others
	life    context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	late    atomic.Bool // NewRedis waits for no outcome any more
}

func (r *Redis) startStreams() error {
	ss := &r.streams
	ss.id = randomID()
	ss.life, ss.stop = context.WithCancel(context.Background())
	var err error
	switch mode := r.options.Invalidation; mode {
	case None:
		ss.only = newStream(r, nil, addrOf(r.client))
		ss.only.deaf = true
		ss.only.current.Store(selfEvident)
	case PubSub:
		if ss.bulletin, err = newBulletin(r); err == nil {
			ss.only = newStream(r, ss.bulletin, ss.bulletin.name)
		}
	default:
		switch client := r.client.(type) {
		case *redis.Client:
			addr := client.Options().Addr
			ss.only = newStream(r, &tracker{redis: r, options: client.Options(), client: client}, addr)
		case *redis.ClusterClient:
			ss.topology = newTopology(r, client)
		default:
			err = fmt.Errorf("tiered: NewRedis: Tracking takes a *redis.Client or a *redis.ClusterClient, not a %T: "+
				"want one of those, or RedisOptions.Invalidation: None", client)
		}
	}
	if err == nil {
		r.startBreakers()
		err = r.firstOutcome()
	}
	if err != nil {
		_ = r.Close()
	}
	return err
}

// startBreakers makes those that aren't made with a master's stream.
func (r *Redis) startBreakers() {
	only := r.streams.only
	cluster, ok := r.client.(*redis.ClusterClient)
	switch {
	case !ok:
		only.newBreaker()
	case only == nil:
		unknown := r.streams.topology.unknown
		r.newLost(cluster, unknown)
		unknown.breaker = r.streams.nodes.lost
	default:
		r.newLost(cluster, nil)
	}
}

// addrOf is what the client's server is called.
func addrOf(client redis.UniversalClient) string {
	if c, ok := client.(*redis.Client); ok {
		return c.Options().Addr
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", client), "*redis.")
}

// firstOutcome waits until it is known of every master whether its invalidations arrive, but not for long. It returns an
// error only where they won't ever.
func (r *Redis) firstOutcome() error {
	ss := &r.streams
	defer ss.outcomesAreLate()
	late, stop := context.WithTimeout(ss.life, max(times(2, r.timeout), minFirstOutcome))
	defer stop()
	switch {
	case ss.topology != nil:
		ss.running.Go(func() { ss.topology.run(ss.life) })
		select {
		case <-ss.topology.seen:
		case <-late.Done():
		}
	case !ss.only.deaf:
		ss.only.start(ss.life)
	}
	var refused []error
	if ss.topology != nil {
		if err := ss.topology.refused(); err != nil {
			return fmt.Errorf("tiered: NewRedis: %w", err)
		}
	}
	answers := false
	for _, s := range ss.all() {
		if s.deaf {
			answers = true // nobody has found out
			break
		}
		select {
		case <-s.settled:
			if s.refused != nil {
				refused = append(refused, fmt.Errorf("redis %s: %w", s.health.where(), s.refused))
			}
			answers = answers || s.refused != nil || s.canary.answered.Load() > 0 || s.proof().holds(now())
		case <-late.Done():
		}
	}
	if answers { // else this would only wait for it
		if err := r.firstRights(late); err != nil {
			refused = append(refused, err)
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("tiered: NewRedis: %w", joined(refused))
	}
	return nil
}

// outcomesAreLate has the streams log what NewRedis doesn't return any more.
func (ss *streams) outcomesAreLate() {
	ss.late.Store(true)
	ss.settleLate()
}

func (ss *streams) settleLate() {
	if !ss.late.Load() {
		return
	}
	for _, s := range ss.all() {
		if !s.deaf {
			s.settle(errStarting)
		}
	}
}

// all returns the streams in the order of their addresses.
func (ss *streams) all() []*stream {
	if ss.only != nil {
		return []*stream{ss.only}
	}
	if ss.topology == nil {
		return nil
	}
	var all []*stream
	for _, s := range *ss.topology.streams.Load() {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *stream) int { return cmp.Compare(a.health.name, b.health.name) })
	return all
}

// streamOf returns the stream of a Cluster's node. Where there is none, since the node isn't a master that is known, it
// is one that proves nothing.
func (r *Redis) streamOf(node *redis.Client) *stream {
	if r.streams.only != nil {
		return r.streams.only
	}
	return r.streams.topology.streamOf(node.Options().Addr)
}

// closeStreams returns when nothing of the streams runs any more, or patience ends: a dialer may not heed its context. What isn't proved may be served from then on: there is
// no Redis to ask.
func (r *Redis) closeStreams(patience context.Context) {
	ss := &r.streams
	ss.stop()
	awaitUntil(patience, ss.running.Wait)
	for _, s := range ss.all() {
		s.mute()
	}
	if ss.topology != nil {
		ss.topology.unknown.mute()
	}
}

// publish tells the other processes of changed keys.
func (r *Redis) publish(ctx context.Context, keys []string) error {
	if r.streams.bulletin == nil {
		return nil
	}
	return r.streams.bulletin.publish(ctx, keys)
}

// Status returns nil while Redis is asked, all invalidations arrive, and no command of a cache was refused lately; else an
// error that says for how long that hasn't been so, and why. A command counts as refused (for lack of a right or of memory,
// say) until Redis accepts its like, but no longer than 2 × (Heartbeat + Timeout) after the last time. Status asks nobody and
// is cheap.
func (r *Redis) Status() error {
	if !r.isMade() {
		return errNotMade
	}
	if r.calls.isOver() {
		return ErrClosed
	}
	if t := r.streams.topology; t != nil {
		if err := t.status(); err != nil {
			return err
		}
	}
	var errs []error
	for _, s := range r.streams.all() {
		errs = append(errs, s.status())
	}
	for _, b := range r.breakers() {
		errs = append(errs, b.status())
	}
	errs = append(errs, r.rights.status(), r.refusals.status())
	return errors.Join(errs...)
}

// maxAge is how old what a proof vouches for can be.
func (r *Redis) maxAge() time.Duration { return sum(r.options.Heartbeat, r.timeout) }

// side is what begins the keys and channels that aren't a cache's. No key of a cache begins with it.
func (r *Redis) side() string { return strings.TrimSuffix(r.prefix, ":") + "!" }

func randomID() string {
	id := make([]byte, idLen/2)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}
