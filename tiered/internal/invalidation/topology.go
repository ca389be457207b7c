package invalidation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// topology keeps a stream for each master of a Cluster. It has the client look again at the Cluster when a stream ends or
// a read meets a node that isn't known: by itself go-redis does so once a minute (go-redis issue 3979).
type topology struct {
	redis   *Streams
	cluster *redis.ClusterClient
	streams atomic.Pointer[map[string]*stream] // by address; the map isn't changed
	unknown *coherence.Feed                    // of a node that isn't a master that is known: values read there are never valid
	wake    chan struct{}
	seen    chan struct{} // closed when the Cluster was looked at once
	failed  atomic.Pointer[error]
}

type nodeList struct {
	options map[string]*redis.Options // by address
	err     error
}

func newTopology(r *Streams, cluster *redis.ClusterClient) *topology {
	t := &topology{redis: r, cluster: cluster, unknown: new(coherence.Feed), wake: make(chan struct{}, 1), seen: make(chan struct{})}
	t.unknown.Current.Store(coherence.Never)
	t.streams.Store(&map[string]*stream{})
	return t
}

// nodeOf returns the master of the address. Where it isn't known as one, it returns a node whose values are never valid.
func (t *topology) nodeOf(addr string) *redisconn.Node {
	if s := (*t.streams.Load())[addr]; s != nil {
		return s.node
	}
	t.rescan()
	return t.redis.Nodes.Unknown
}

// nodes returns those of the masters that are known.
func (t *topology) nodes() (all []*redisconn.Node) {
	for _, s := range *t.streams.Load() {
		all = append(all, s.node)
	}
	return all
}

// rescan has the Cluster looked at soon.
func (t *topology) rescan() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run looks at the Cluster now and then, one look at a time.
func (t *topology) run(ctx context.Context) {
	every := mono.Times(5, t.redis.Heartbeat)
	soon := min(t.redis.Heartbeat, time.Second) / 4
	timer := time.NewTimer(0)
	defer timer.Stop()
	found := make(chan nodeList, 1)
	var looking, again bool
	var last mono.Instant
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
			if looking {
				again = true
			} else {
				timer.Reset(max(soon-mono.Now().Since(last), 0))
			}
			continue
		case <-timer.C:
			if !t.redis.Calls.Begin() {
				return
			}
			looking = true
			go func() {
				defer t.redis.Calls.End()
				var m nodeList
				if err := t.redis.Guard(func() error { m = t.look(ctx); return nil }); err != nil {
					m.err = err
				}
				found <- m
			}()
		case m := <-found:
			t.follow(ctx, m)
			looking, last = false, mono.Now()
			pause := every
			if again || m.err != nil {
				again, pause = false, soon
			}
			timer.Reset(pause)
		}
	}
}

// look has the client ask the Cluster for its topology.
func (t *topology) look(ctx context.Context) nodeList {
	ctx, cancel := context.WithTimeout(ctx, max(mono.Times(4, t.redis.Timeout), time.Second))
	defer cancel()
	var mu sync.Mutex
	m := nodeList{options: make(map[string]*redis.Options)}
	m.err = t.cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		m.options[node.Options().Addr] = node.Options()
		return nil
	})
	return m
}

// follow gives new masters a stream and ends those of nodes that are masters no more.
func (t *topology) follow(ctx context.Context, m nodeList) {
	if m.err != nil {
		t.failed.Store(&m.err)
	} else {
		t.failed.Store(nil)
		t.redis.Nodes.Located.Store(true)
		next := make(map[string]*stream, len(m.options))
		maps.Copy(next, *t.streams.Load())
		var news []*stream
		for addr, options := range m.options {
			if next[addr] == nil {
				s := newStream(t.redis, &tracking{redis: t.redis, options: options, cluster: t.cluster}, addr)
				s.onTrouble = t.rescan
				s.node = s.newNode()
				next[addr] = s
				news = append(news, s)
			}
		}
		maps.DeleteFunc(next, func(addr string, s *stream) bool {
			gone := m.options[addr] == nil
			if gone {
				s.stop() // it was started: it comes from an earlier look
				s.breaker.Retire()
			}
			return gone
		})
		t.streams.Store(&next)
		for _, s := range news {
			s.start(ctx)
		}
		t.redis.logLate()
	}
	select {
	case <-t.seen:
	default:
		close(t.seen)
	}
}

// refused returns why no masters will be known, if Redis refuses to tell.
func (t *topology) refused() error {
	if failed := t.failed.Load(); failed != nil {
		var refused *redisconn.PermanentError
		if err := redisconn.Judge("CLUSTER SLOTS", *failed); errors.As(err, &refused) {
			return err
		}
	}
	return nil
}

// status returns why no masters are known, if none are.
func (t *topology) status() error {
	if len(*t.streams.Load()) > 0 {
		return nil
	}
	if err := t.failed.Load(); err != nil {
		return fmt.Errorf("tiered: redis: no masters are known: %w", *err)
	}
	return fmt.Errorf("tiered: redis: no masters are known: %w", errStarting)
}
