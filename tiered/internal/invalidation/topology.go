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
	streams *Streams
	cluster *redis.ClusterClient
	byAddr  atomic.Pointer[map[string]*stream] // by address; the map isn't changed
	unknown *coherence.Feed                    // of a node that isn't a master that is known: values read there are never valid
	wake    chan struct{}
	scanned chan struct{} // closed when the Cluster was looked at once
	lastErr atomic.Pointer[error]
}

type nodeList struct {
	options map[string]*redis.Options // by address
	err     error
}

func newTopology(ss *Streams, cluster *redis.ClusterClient) *topology {
	t := &topology{streams: ss, cluster: cluster, unknown: new(coherence.Feed), wake: make(chan struct{}, 1), scanned: make(chan struct{})}
	t.unknown.Current.Store(coherence.Never)
	t.byAddr.Store(&map[string]*stream{})
	return t
}

// nodeOf returns the master of the address. Where it isn't known as one, it returns a node whose values are never valid.
func (t *topology) nodeOf(addr string) *redisconn.Node {
	if s := (*t.byAddr.Load())[addr]; s != nil {
		return s.node
	}
	t.scanSoon()
	return t.streams.Nodes.Unknown
}

// nodes returns those of the masters that are known.
func (t *topology) nodes() (all []*redisconn.Node) {
	for _, s := range *t.byAddr.Load() {
		all = append(all, s.node)
	}
	return all
}

// scanSoon has the Cluster looked at soon.
func (t *topology) scanSoon() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run looks at the Cluster now and then, one look at a time.
func (t *topology) run(ctx context.Context) {
	every := mono.Times(5, t.streams.Heartbeat)
	soon := min(t.streams.Heartbeat, time.Second) / 4
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
			if !t.streams.Calls.Begin() {
				return
			}
			looking = true
			go func() {
				defer t.streams.Calls.End()
				var list nodeList
				if err := t.streams.CatchPanics(func() error { list = t.scan(ctx); return nil }); err != nil {
					list.err = err
				}
				found <- list
			}()
		case list := <-found:
			t.apply(ctx, list)
			looking, last = false, mono.Now()
			pause := every
			if again || list.err != nil {
				again, pause = false, soon
			}
			timer.Reset(pause)
		}
	}
}

// scan has the client ask the Cluster for its topology.
func (t *topology) scan(ctx context.Context) nodeList {
	ctx, cancel := context.WithTimeout(ctx, max(mono.Times(4, t.streams.Timeout), time.Second))
	defer cancel()
	var mu sync.Mutex
	list := nodeList{options: make(map[string]*redis.Options)}
	list.err = t.cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		list.options[node.Options().Addr] = node.Options()
		return nil
	})
	return list
}

// apply gives new masters a stream and ends those of nodes that are masters no more.
func (t *topology) apply(ctx context.Context, list nodeList) {
	if list.err != nil {
		t.lastErr.Store(&list.err)
	} else {
		t.lastErr.Store(nil)
		t.streams.Nodes.Located.Store(true)
		next := make(map[string]*stream, len(list.options))
		maps.Copy(next, *t.byAddr.Load())
		var news []*stream
		for addr, options := range list.options {
			if next[addr] == nil {
				s := newStream(t.streams, &tracking{streams: t.streams, options: options, cluster: t.cluster}, addr)
				s.rescan = t.scanSoon
				s.node = s.newNode()
				next[addr] = s
				news = append(news, s)
			}
		}
		maps.DeleteFunc(next, func(addr string, s *stream) bool {
			gone := list.options[addr] == nil
			if gone {
				s.stop() // it was started: it comes from an earlier look
				s.breaker.Retire()
			}
			return gone
		})
		t.byAddr.Store(&next)
		for _, s := range news {
			s.start(ctx)
		}
		t.streams.endFirstOutcomes()
	}
	select {
	case <-t.scanned:
	default:
		close(t.scanned)
	}
}

// refused returns why no masters will be known, if Redis refuses to tell.
func (t *topology) refused() error {
	if failed := t.lastErr.Load(); failed != nil {
		var refused *redisconn.PermanentError
		if err := redisconn.StepError("CLUSTER SLOTS", *failed); errors.As(err, &refused) {
			return err
		}
	}
	return nil
}

// status returns why no masters are known, if none are.
func (t *topology) status() error {
	if len(*t.byAddr.Load()) > 0 {
		return nil
	}
	if err := t.lastErr.Load(); err != nil {
		return fmt.Errorf("tiered: redis: no masters are known: %w", *err)
	}
	return fmt.Errorf("tiered: redis: no masters are known: %w", errStarting)
}
