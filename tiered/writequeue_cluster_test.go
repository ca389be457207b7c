package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// routes are a process's ways to the servers of a Cluster, each of which can be cut.
type routes struct {
	mu    sync.Mutex
	cuts  map[string]bool // by address
	conns map[string][]net.Conn
}

var errCut = errors.New("the route is cut")

func (r *routes) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cuts[addr] {
		_ = conn.Close()
		return nil, errCut
	}
	r.conns[addr] = append(r.conns[addr], conn)
	return conn, nil
}

func (r *routes) cut(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cuts[addr] = true
	for _, conn := range r.conns[addr] {
		_ = conn.Close()
	}
	r.conns[addr] = nil
}

func (r *routes) heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.cuts)
}

// settlement is a Cluster with a process "here" that can lose sight of a master, and one elsewhere that doesn't.
type settlement struct {
	routes          *routes
	client          *redis.ClusterClient
	here, elsewhere *tiered.Cache[string]
	status          func() error // of the process here
}

func settle(t *testing.T, cluster *redistest.Cluster, how tiered.Invalidation) *settlement {
	t.Helper()
	s := &settlement{routes: &routes{cuts: make(map[string]bool), conns: make(map[string][]net.Conn)}, client: cluster.Client(t)}
	o := lively(how)
	o.Timeout *= 2 // for six servers on a slow machine
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs(), Dialer: s.routes.dial})
	t.Cleanup(func() { _ = client.Close() })
	r := openedRedis(t, client, o)
	s.status = r.Status
	s.here = newCache(t, tiered.Options[string]{Redis: r, Policy: longLived, Logger: o.Logger})
	other := openedRedis(t, s.client, o)
	s.elsewhere = newCache(t, tiered.Options[string]{Redis: other, Policy: longLived, Logger: o.Logger})
	waitFor(t, func() bool { return r.Status() == nil && other.Status() == nil })
	return s
}

// master returns the address of the master that has the key of Redis.
func (s *settlement) master(t *testing.T, key string) string {
	t.Helper()
	node, err := s.client.MasterForKey(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return node.Options().Addr
}

// split returns keys, after the prefix in Redis, that the master has, and others that it hasn't.
func (s *settlement) split(t *testing.T, prefix, master string, n int) (theirs, others []string) {
	t.Helper()
	for i := range n {
		if key := fmt.Sprint("k", i); s.master(t, prefix+key) == master {
			theirs = append(theirs, key)
		} else {
			others = append(others, key)
		}
	}
	if len(theirs) == 0 || len(others) == 0 {
		t.Fatalf("all of %s is on one side", prefix)
	}
	return theirs, others
}

// spare returns a master that stores neither the epoch nor the channel of the messages.
func (s *settlement) spare(t *testing.T, cluster *redistest.Cluster) string {
	t.Helper()
	needed := []string{s.master(t, "tc:test!era{test}"), s.master(t, "tc!changes")}
	for _, m := range cluster.Masters() {
		if !slices.Contains(needed, m.Addr()) {
			return m.Addr()
		}
	}
	t.Fatal("each master is needed")
	return ""
}

// What couldn't be written to one master is replayed when that is back; what was for the others isn't held up, and not
// done twice.
func TestReplayInACluster(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { waitFor(t, poolsAreGone) })
	cluster := startHelplessCluster(t)
	for mode, how := range listeningModes {
		t.Run(mode, func(t *testing.T) {
			ctx := t.Context()
			t.Run("Delete", func(t *testing.T) {
				s := settle(t, cluster, how)
				lost := s.spare(t, cluster)
				theirs, others := s.split(t, "tc:test:", lost, 60)
				all := slices.Concat(theirs, others)
				for _, key := range all {
					set(t, s.elsewhere, key, "old")
					keep(t, s.elsewhere, key, "old")
				}
				s.routes.cut(lost)
				queued(t, s.here.Delete(ctx, all...))
				if n := s.here.Stats().Queued; n != len(theirs) {
					t.Errorf("%d of %d keys are queued, want the %d of the master that is cut off", n, len(all), len(theirs))
				}
				for _, key := range others {
					follows(t, s.elsewhere, key, "")
					if err := s.here.Set(ctx, key, "new"); err != nil {
						t.Errorf("another master's: %v", err)
					}
				}
				for _, key := range theirs {
					if v, err := s.here.Get(ctx, key); err != tiered.ErrNotFound {
						t.Errorf("what was deleted: %q, %v", v, err)
					}
				}
				s.converges(t)
				for _, key := range theirs {
					follows(t, s.elsewhere, key, "")
					follows(t, s.here, key, "")
				}
				for _, key := range others {
					follows(t, s.elsewhere, key, "new")
				}
			})
			t.Run("InvalidateTags", func(t *testing.T) {
				s := settle(t, cluster, how)
				lost := s.spare(t, cluster)
				theirs, others := s.split(t, "tc:test!tag:", lost, 60)
				_, keys := s.split(t, "tc:test:", lost, 60)
				set(t, s.elsewhere, keys[0], "old", theirs[0])
				set(t, s.elsewhere, keys[1], "old", others[0])
				keep(t, s.elsewhere, keys[0], "old")
				s.routes.cut(lost)
				queued(t, s.here.InvalidateTags(ctx, theirs[0], others[0]))
				if n := s.here.Stats().Queued; n != 1 {
					t.Errorf("%d tags are queued, want the one of the master that is cut off", n)
				}
				follows(t, s.elsewhere, keys[1], "")
				set(t, s.elsewhere, keys[1], "newer", others[0])
				before := s.count(t)
				waitFor(t, func() bool { return s.count(t) > before+3 }) // replays that fail
				follows(t, s.elsewhere, keys[1], "newer")
				keep(t, s.elsewhere, keys[0], "old")
				s.converges(t)
				follows(t, s.elsewhere, keys[0], "")
				follows(t, s.here, keys[0], "")
				follows(t, s.here, keys[1], "newer")
			})
			t.Run("Clear", func(t *testing.T) {
				s := settle(t, cluster, how)
				lost := s.master(t, "tc:test!era{test}")
				theirs, others := s.split(t, "tc:test:", lost, 60)
				keys := []string{theirs[0], others[0]}
				for _, key := range keys {
					set(t, s.elsewhere, key, "old")
					keep(t, s.elsewhere, key, "old")
					keep(t, s.here, key, "old")
				}
				s.routes.cut(lost)
				queued(t, s.here.Clear(ctx))
				for _, key := range keys {
					keep(t, s.elsewhere, key, "old")
					if v, err := s.here.Get(ctx, key); err != tiered.ErrNotFound {
						t.Errorf("what was cleared: %q, %v", v, err)
					}
				}
				s.converges(t)
				for _, key := range keys {
					follows(t, s.elsewhere, key, "")
					follows(t, s.here, key, "")
				}
			})
		})
	}
}

// count is how many invalidations by tag there were.
func (s *settlement) count(t *testing.T) int {
	t.Helper()
	n, err := s.client.Get(t.Context(), "tc:test!count{test}").Int()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// converges has the process here see all masters again, and waits until its replays are done.
func (s *settlement) converges(t *testing.T) {
	t.Helper()
	s.routes.heal()
	waitFor(t, func() bool { return s.here.Stats().Queued == 0 && s.status() == nil })
}
