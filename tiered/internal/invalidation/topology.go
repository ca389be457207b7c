package invalidation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// topology keeps a stream for each master of a Cluster. It has the client load the Cluster's topology when a stream ends or a read
// meets a node that isn't known: by itself go-redis does so once a minute (go-redis issue 3979).
//
// One goroutine (run) scans, and alone starts and stops streams. Others only wake it, however often: at least a
// quarter of a second, or of a shorter heartbeat, is between two scans. Each scan has one more goroutine, since
// go-redis may not return when its context ends. Every read finds its Node here, so byAddr is replaced and not
// changed, and nodeOf takes no lock.
//
// A scan that fails changes nothing: the streams of masters that were known go on, and the next scan is soon. A
// master that is gone is stopped before its breaker is retired, and the map without it is stored last: until then a
// read may still get a Node whose validity is about to end.
type topology struct {
	group   *group
	cluster *redis.ClusterClient
	byAddr  atomic.Pointer[map[string]*stream] // by address; the map isn't changed
	unknown *coherence.Feed                    // of nodes that aren't known as masters: values read there are never valid
	wake    chan struct{}
	scanned chan struct{} // closed after the first scan
	lastErr atomic.Pointer[error]
}

type nodeList struct {
	options map[string]*redis.Options // by address
	err     error
}

func newTopology(g *group, cluster *redis.ClusterClient) *topology {
	t := &topology{group: g, cluster: cluster, unknown: new(coherence.Feed), wake: make(chan struct{}, 1), scanned: make(chan struct{})}
	t.unknown.Current.Store(coherence.Never)
	t.byAddr.Store(&map[string]*stream{})
	return t
}

// nodeOf returns the master of the address. If no master of the address is known, it returns a node whose values are never valid.
func (t *topology) nodeOf(addr string) *redisconn.Node {
	if s := (*t.byAddr.Load())[addr]; s != nil {
		return s.node
	}
	t.scanSoon()
	return t.group.Nodes.Unknown
}

// nodes returns those of the masters that are known.
func (t *topology) nodes() (all []*redisconn.Node) {
	for _, s := range *t.byAddr.Load() {
		all = append(all, s.node)
	}
	return all
}

// streams returns those of the masters that are known, in the order of their addresses.
func (t *topology) streams() []*stream {
	return slices.SortedFunc(maps.Values(*t.byAddr.Load()), func(a, b *stream) int { return cmp.Compare(a.status.name, b.status.name) })
}

// scanSoon has the Cluster scanned soon.
func (t *topology) scanSoon() { wake(t.wake) }

// run scans the Cluster now and then, and soon after it is woken.
func (t *topology) run(ctx context.Context) {
	every := mono.Times(5, t.group.Heartbeat)
	soon := min(t.group.Heartbeat, time.Second) / 4
	last, pause := mono.Now().Add(-soon), time.Duration(0)
	for mono.Sleep(ctx, pause, t.wake) && mono.Sleep(ctx, soon-mono.Now().Since(last), nil) {
		select {
		case <-t.wake: // this scan serves it
		default:
		}
		list, ok := t.scanInBackground(ctx)
		if !ok {
			return
		}
		t.apply(ctx, list)
		last, pause = mono.Now(), every
		if list.err != nil {
			pause = soon
		}
	}
}

// scanInBackground is scan in a goroutine of its own, so that it can return when ctx ends. It then returns false.
func (t *topology) scanInBackground(ctx context.Context) (list nodeList, ok bool) {
	found := make(chan nodeList, 1)
	begun := t.group.Calls.Go(func() {
		list := nodeList{err: errStarting} // if the client ends the goroutine
		defer func() { found <- list }()
		if err := t.group.CatchPanics(func() error { list = t.scan(ctx); return nil }); err != nil {
			list.err = err
		}
	})
	if !begun {
		return nodeList{}, false
	}
	select {
	case list = <-found:
		return list, true
	case <-ctx.Done():
		return nodeList{}, false
	}
}

// scan has the client load the Cluster's topology.
func (t *topology) scan(ctx context.Context) nodeList {
	ctx, cancel := context.WithTimeout(ctx, max(mono.Times(4, t.group.Timeout), time.Second))
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

// apply takes the result of a scan.
func (t *topology) apply(ctx context.Context, list nodeList) {
	if list.err != nil {
		t.lastErr.Store(&list.err)
	} else {
		t.lastErr.Store(nil)
		t.group.Nodes.Located.Store(true)
		t.setMasters(ctx, list.options)
		if t.group.Started.Load() {
			endFirstOutcomes(t.streams())
		}
	}
	select {
	case <-t.scanned:
	default:
		close(t.scanned)
	}
}

// setMasters starts the streams of new masters, and ends those of nodes that are masters no longer.
func (t *topology) setMasters(ctx context.Context, options map[string]*redis.Options) {
	streams := maps.Clone(*t.byAddr.Load())
	maps.DeleteFunc(streams, func(addr string, s *stream) bool {
		gone := options[addr] == nil
		if gone {
			s.stop()
			s.breaker.Retire()
		}
		return gone
	})
	var added []*stream
	for addr, o := range options {
		if streams[addr] == nil {
			s := newTracking(t.group, o, nil, t.cluster)
			s.rescan = t.scanSoon
			s.node = s.newNode()
			streams[addr] = s
			added = append(added, s)
		}
	}
	t.byAddr.Store(&streams)
	for _, s := range added {
		s.start(ctx)
	}
}

// refused returns an error if Redis refuses the command that lists the masters.
func (t *topology) refused() error {
	if failed := t.lastErr.Load(); failed != nil {
		var refused *redisconn.PermanentError
		if err := redisconn.StepError("CLUSTER SLOTS", *failed); errors.As(err, &refused) {
			return err
		}
	}
	return nil
}

// statusError returns why no masters are known, if none are.
func (t *topology) statusError() error {
	if len(*t.byAddr.Load()) > 0 {
		return nil
	}
	if err := t.lastErr.Load(); err != nil {
		return fmt.Errorf("tiered: redis: no masters are known: %w", *err)
	}
	return fmt.Errorf("tiered: redis: no masters are known: %w", errStarting)
}
