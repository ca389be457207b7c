//go:build !windows

package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// SentinelMaster is the name under which the sentinels know the master.
const SentinelMaster = "main"

const failoverTimeout = 3 * time.Second

// promptReplication is added to the command line of servers with replication. A master then doesn't wait for a second replica
// before it sends its data, and increments its offset every second.
var promptReplication = []string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}

// Sentinel is a master with a replica, monitored by three sentinels, for one test. Its methods may be called
// from any goroutine of the test. If one fails, it calls t.Errorf.
type Sentinel struct {
	t         testing.TB
	servers   []*Server // the first master and its replica
	sentinels []*Server
}

// StartSentinel returns a Sentinel in which the sentinels know each other and the replica, which is in sync. Two of
// them, which are a quorum, consider a master dead that doesn't answer for half a second.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	s := &Sentinel{t: t}
	for range 2 {
		s.servers = append(s.servers, start(t, standalone, promptReplication...))
	}
	for range 3 {
		s.sentinels = append(s.sentinels, start(t, sentinel))
	}
	if err := s.form(); err != nil {
		t.Fatalf("redistest: forming the sentinels: %v", err)
	}
	return s
}

// Addrs returns the host:port of every sentinel; no failover changes them.
func (s *Sentinel) Addrs() []string {
	addrs := make([]string, len(s.sentinels))
	for i, node := range s.sentinels {
		addrs[i] = node.Addr()
	}
	return addrs
}

// Client returns a failover client with go-redis's defaults. It is closed when t ends, before the servers end.
func (s *Sentinel) Client(t testing.TB) *redis.Client {
	t.Helper()
	return closeOnCleanup(t, redis.NewFailoverClient(&redis.FailoverOptions{MasterName: SentinelMaster, SentinelAddrs: s.Addrs()}))
}

// Master returns the master, as soon as all sentinels agree on it.
func (s *Sentinel) Master() (master *Server) {
	s.t.Helper()
	err := Await(func() (err error) {
		master, _, err = s.agreed()
		return err
	})
	if err != nil {
		s.t.Errorf("redistest: the sentinels don't agree: %v", err)
	}
	return master
}

// Failover promotes the replica while the master is healthy (SENTINEL FAILOVER), and returns when the replica accepts
// writes and all sentinels know it. The old master stays a master for some seconds more, until the sentinels demote it: what is
// written to it meanwhile will be lost.
func (s *Sentinel) Failover() {
	s.t.Helper()
	_, replica, err := s.replicated()
	if err != nil {
		s.t.Errorf("redistest: failing over: %v", err)
		return
	}
	// The command is refused while this sentinel has no recent reply from the replica, and fails on a busy machine.
	var asked time.Time
	err = Await(func() error {
		master, _, err := s.agreed()
		if err != nil || master == replica {
			return err
		}
		if time.Since(asked) > 2*failoverTimeout {
			err = askSentinel(s.sentinels[0], func(ctx context.Context, r *redis.SentinelClient) error {
				return r.Failover(ctx, SentinelMaster).Err()
			})
			if err != nil {
				return fmt.Errorf("SENTINEL FAILOVER: %w", err)
			}
			asked = time.Now()
		}
		return fmt.Errorf("%s is still a replica", replica.Addr())
	})
	if err != nil {
		s.t.Errorf("redistest: failing over: %v", err)
	}
}

// KillMaster kills the master as a crash would. It returns when the replica accepts writes and all sentinels know it. The
// killed master can be restarted as a replica.
func (s *Sentinel) KillMaster() *Server {
	s.t.Helper()
	master, replica, err := s.replicated()
	if err != nil {
		s.t.Errorf("redistest: killing the master: %v", err)
		return nil
	}
	master.Kill()
	s.awaitMaster(replica)
	return master
}

func (s *Sentinel) awaitMaster(want *Server) {
	s.t.Helper()
	err := Await(func() error {
		master, _, err := s.agreed()
		if err == nil && master != want {
			err = fmt.Errorf("%s is still a replica", want.Addr())
		}
		return err
	})
	if err != nil {
		s.t.Errorf("redistest: failing over: %v", err)
	}
}

// replicated waits until the replica can be promoted.
func (s *Sentinel) replicated() (master, replica *Server, err error) {
	err = Await(func() (err error) {
		if master, replica, err = s.agreed(); err == nil && replica == nil {
			err = errors.New("no replica is in sync")
		}
		return err
	})
	return master, replica, err
}

// agreed returns the master if it accepts writes, and all sentinels know it and each other. It also returns the replica if all
// sentinels know that it is in sync.
func (s *Sentinel) agreed() (master, replica *Server, err error) {
	for i, node := range s.sentinels {
		m, r, err := s.view(node)
		if err != nil {
			return nil, nil, fmt.Errorf("sentinel %s: %w", node.Addr(), err)
		}
		switch {
		case i == 0:
			master, replica = m, r
		case m != master:
			return nil, nil, fmt.Errorf("sentinel %s: sees another master", node.Addr())
		case r != replica:
			replica = nil
		}
	}
	role, err := master.do("ROLE")
	if err != nil {
		return nil, nil, err
	}
	if fields, ok := role.([]any); !ok || fields[0] != "master" {
		return nil, nil, fmt.Errorf("%s isn't a master yet", master.Addr())
	}
	return master, replica, nil
}

// view returns the master that a sentinel sees, or an error if the master is down or being failed over. It returns the
// replica if that is in sync.
func (s *Sentinel) view(node *Server) (master, replica *Server, err error) {
	var main map[string]string
	var replicas []map[string]string
	err = askSentinel(node, func(ctx context.Context, r *redis.SentinelClient) (err error) {
		if main, err = r.Master(ctx, SentinelMaster).Result(); err == nil {
			replicas, err = r.Replicas(ctx, SentinelMaster).Result()
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	master = s.server(main)
	if !master.up() || main["flags"] != "master" {
		return nil, nil, fmt.Errorf("master %s:%s is %q", main["ip"], main["port"], main["flags"])
	}
	if others := main["num-other-sentinels"]; others != "2" {
		return nil, nil, fmt.Errorf("knows %s other sentinels", others)
	}
	for _, r := range replicas {
		if r["flags"] == "slave" && r["master-link-status"] == "ok" && s.server(r).up() {
			replica = s.server(r)
		}
	}
	return master, replica, nil
}

// server returns the server that a sentinel describes, or nil.
func (s *Sentinel) server(seen map[string]string) *Server {
	addr := net.JoinHostPort(seen["ip"], seen["port"])
	if i := slices.IndexFunc(s.servers, func(x *Server) bool { return x.Addr() == addr }); i >= 0 {
		return s.servers[i]
	}
	return nil
}

func (s *Sentinel) form() error {
	master, replica := s.servers[0], s.servers[1]
	if _, err := replica.do("REPLICAOF", "127.0.0.1", master.port.number); err != nil {
		return err
	}
	for i, node := range s.sentinels {
		patience := "500"
		if i == 2 {
			patience = "2000" // it votes for one of the others: of three candidates each would vote for itself
		}
		if err := watch(node, master, patience); err != nil {
			return fmt.Errorf("sentinel %s: %w", node.Addr(), err)
		}
	}
	if _, _, err := s.replicated(); err != nil {
		return err
	}
	// Sentinels demote a server that has been a master against their configuration for four of these periods. That must be
	// more than the second that the sentinel leading a failover takes to notice its success and tell the others.
	for _, node := range s.sentinels {
		if _, err := node.do("SENTINEL", "DEBUG", "PUBLISH-PERIOD", 750); err != nil {
			return err
		}
	}
	return nil
}

// watch makes a sentinel monitor the master, which is considered down after patience (in milliseconds), with much shorter
// periods than usual. PING-PERIOD can't be shorter: a replica without a reply to INFO for five of these periods isn't promoted,
// and once the master is down the sentinel sends INFO only once a second. TILT-PERIOD is short, since a sentinel does
// nothing for so long after a busy machine has delayed it.
func watch(node, master *Server, patience string) error {
	if _, err := node.do("SENTINEL", "DEBUG", "INFO-PERIOD", 100, "PING-PERIOD", 400, "ASK-PERIOD", 100,
		"PUBLISH-PERIOD", 100, "TILT-PERIOD", 1000, "MIN-LINK-RECONNECT-PERIOD", 1000); err != nil {
		return err
	}
	return askSentinel(node, func(ctx context.Context, r *redis.SentinelClient) error {
		return errors.Join(
			r.Monitor(ctx, SentinelMaster, "127.0.0.1", master.port.String(), "2").Err(),
			r.Set(ctx, SentinelMaster, "down-after-milliseconds", patience).Err(),
			r.Set(ctx, SentinelMaster, "failover-timeout", strconv.Itoa(int(failoverTimeout.Milliseconds()))).Err(), // after a vote without a winner the next one begins after twice that time
		)
	})
}

// askSentinel calls f with a client for the commands that only sentinels have.
func askSentinel(node *Server, f func(ctx context.Context, r *redis.SentinelClient) error) error {
	r := redis.NewSentinelClient(&redis.Options{Addr: node.Addr(), MaxRetries: -1})
	defer r.Close()
	return f(context.Background(), r)
}
