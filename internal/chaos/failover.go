//go:build !windows

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/child"
	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/internal/redistest"
)

// failovers returns the faults after which another server is the master.
func failovers() []fault {
	replicated := []Topology{Sentinel, Cluster}
	return []fault{
		{"failover", servers, []Topology{Cluster}, (*injector).failoverCluster},
		{"failover", servers, []Topology{Sentinel}, (*injector).failoverSentinel},
		{"kill a master", servers, replicated, (*injector).killInSync},
		{"kill a master and lose writes", servers, replicated, (*injector).killBehind},
	}
}

const pauseLimit = 20 * time.Second // of CLIENT PAUSE, if no CLIENT UNPAUSE ends it

// victim is a master that is to be replaced, and the replica that replaces it.
type victim struct {
	server  *redistest.Server
	node    node
	replica node
}

// victim chooses a master at random and waits until it has a replica whose link is up.
func (in *injector) victim() (v victim, err error) {
	in.checkMasters()
	all := in.deployment.masters()
	v.server = all[in.rng.IntN(len(all))]
	v.node = node(v.server.Addr())
	err = redistest.Await(func() (err error) {
		v.replica, err = v.node.linkedReplica()
		return err
	})
	return v, err
}

func (n node) linkedReplica() (node, error) {
	r, err := n.role()
	if err != nil {
		return "", err
	}
	for _, replica := range r.replicas {
		if its, err := replica.role(); err == nil && its.linked {
			return replica, nil
		}
	}
	return "", fmt.Errorf("%s has no replica with a link to it", n)
}

// syncReplica stops writes to the master and waits until its replica has all of them.
func (v victim) syncReplica() error {
	if _, err := v.node.do("CLIENT", "PAUSE", pauseLimit.Milliseconds(), "WRITE"); err != nil {
		return err
	}
	return v.waitForReplica()
}

// waitForReplica waits until the replica has all writes that the master has now.
func (v victim) waitForReplica() error {
	master, err := v.node.role()
	if err != nil {
		return err
	}
	return redistest.Await(func() error {
		offset, err := v.replica.info("slave_repl_offset")
		if err == nil && offset < master.offset {
			err = fmt.Errorf("the replica is at %d, the master at %d", offset, master.offset)
		}
		return err
	})
}

// killInSync kills a master whose replica has all acknowledged writes.
func (in *injector) killInSync() {
	end := in.outage(in.workers.slots...)
	v, err := in.victim()
	if err == nil {
		err = v.syncReplica()
	}
	if err == nil {
		v.server.Kill()
		err = in.replaceMaster(v, end)
	}
	if err != nil {
		end(failoverTrouble)
		in.t.Errorf("chaos: killing a master: %v", err)
	}
}

// killBehind kills a master whose replica has been cut off for a moment, so that the writes it acknowledged meanwhile are lost.
func (in *injector) killBehind() {
	end := in.outage(in.workers.slots...)
	v, err := in.victim()
	var l *loss
	if err == nil {
		l, err = in.fallBehind(v)
	}
	if err == nil {
		err = l.readReplica(v.replica)
	}
	if err == nil {
		err = in.replaceMaster(v, end)
	}
	if err != nil {
		end(failoverTrouble)
		in.t.Errorf("chaos: killing a master that is ahead of its replica: %v", err)
		return
	}
	in.recordLoss(l)
}

// fallBehind cuts the replica off, lets the master take writes for a while and kills it. The replica is frozen meanwhile,
// since it would reconnect at once. Writes are paused before the master's contents are read, so that they are its last state.
func (in *injector) fallBehind(v victim) (l *loss, err error) {
	l = &loss{owned: in.ownedBy(v.node)}
	l.cutFrom = history.Clock()
	if err := v.waitForReplica(); err != nil { // otherwise writes that were acknowledged long before might be lost, too
		return nil, err
	}
	thaw, err := v.replica.freeze()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, thaw()) }()
	if _, err = v.node.do("CLIENT", "KILL", "TYPE", "replica"); err != nil {
		return nil, err
	}
	l.cutTo = history.Clock()
	in.hold(50*time.Millisecond, 300*time.Millisecond)
	if _, err = v.node.do("CLIENT", "PAUSE", pauseLimit.Milliseconds(), "WRITE"); err != nil {
		return nil, err
	}
	l.paused = history.Clock()
	master, err := v.node.role()
	if err != nil {
		return nil, err
	}
	l.masterOffset = master.offset
	if l.master, err = v.node.contents(); err != nil {
		return nil, err
	}
	v.server.Kill()
	l.killed = history.Clock()
	return l, nil
}

// replaceMaster waits until the replica of a dead master has been promoted, and restarts the master as a replica.
func (in *injector) replaceMaster(v victim, end func(time.Duration)) error {
	in.deployment.masters()
	end(failoverTrouble)
	v.server.Restart()
	if in.options.Topology == Sentinel {
		if err := v.node.replicateFrom(v.replica); err != nil { // the sentinels would do it, but only after seconds
			return err
		}
	}
	in.expectMasters()
	return redistest.Await(func() error {
		_, err := v.replica.linkedReplica()
		return err
	})
}

// ownedBy returns the keys whose slots a master owns.
func (in *injector) ownedBy(master node) map[string]bool {
	owned := make(map[string]bool)
	cluster, isCluster := in.foreign.client.(*redis.ClusterClient)
	for i := range in.options.Keys {
		key := keyName(i)
		if isCluster {
			its, err := cluster.MasterForKey(context.Background(), redisKey(key))
			if err != nil || its.Options().Addr != string(master) {
				continue
			}
		}
		owned[key] = true
	}
	return owned
}

// freeze stops a server and returns when it has stopped. It may be a replica, for which redistest has no Server.
func (n node) freeze() (thaw func() error, err error) {
	number, err := n.info("process_id")
	if err != nil {
		return nil, err
	}
	p, err := os.FindProcess(int(number))
	if err != nil {
		return nil, err
	}
	return func() error { return p.Signal(syscall.SIGCONT) }, child.Freeze(p)
}

func (n node) replicateFrom(master node) error {
	host, port, err := net.SplitHostPort(string(master))
	if err == nil {
		_, err = n.do("REPLICAOF", host, port)
	}
	return err
}

// failoverCluster promotes a replica without losing writes: the master refuses them until its replica has taken over.
func (in *injector) failoverCluster() {
	end := in.outage(in.workers.slots...)
	in.checkMasters()
	in.deployment.failover()
	end(failoverTrouble)
	in.expectMasters()
}

// failoverSentinel has the sentinels promote the replica while the master is healthy. The sentinels don't demote the old
// master for some seconds, so that there are two masters: writes to the old one are lost, and reads from it may be outdated. No
// cache can know that. So neither takes writes until all clients that read and write have left the old one. After that
// only the connections on which caches receive invalidations are left there: open and answering, but without
// any invalidations.
func (in *injector) failoverSentinel() {
	end := in.outage(in.workers.slots...)
	defer in.expectMasters()
	v, err := in.victim()
	if err == nil {
		err = v.syncReplica()
	}
	if err == nil {
		err = in.promote(v)
	}
	if err == nil {
		err = v.replica.unpause()
	}
	end(failoverTrouble)
	in.hold(in.options.Delta(), in.options.Delta()+time.Second)
	if err == nil {
		err = v.node.replicateFrom(v.replica)
	}
	if err = errors.Join(err, v.node.unpause()); err != nil {
		in.t.Errorf("chaos: a failover: %v", err)
	}
}

// promote returns when all sentinels know the new master, and only invalidation streams are left on the old one.
func (in *injector) promote(v victim) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		in.deployment.failover()
	}()
	err := redistest.Await(func() error {
		r, err := v.replica.role()
		if err == nil && !r.master {
			err = errors.New("the replica hasn't been promoted")
		}
		return err
	})
	if err == nil {
		_, err = v.replica.do("CLIENT", "PAUSE", pauseLimit.Milliseconds(), "WRITE")
	}
	<-done
	if err != nil {
		return err
	}
	return v.node.withClient(func(ctx context.Context, r *redis.Client) error {
		list, err := r.ClientList(ctx).Result()
		if err != nil {
			return err
		}
		for id := range dataClients(list) {
			err = errors.Join(err, r.ClientKillByFilter(ctx, "ID", id, "SKIPME", "yes").Err())
		}
		return err
	})
}

// dataClients yields the IDs in a CLIENT LIST of the clients that neither receive invalidations nor belong to Redis itself.
func dataClients(list string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(list) {
			field := make(map[string]string)
			for f := range strings.FieldsSeq(line) {
				name, value, _ := strings.Cut(f, "=")
				field[name] = value
			}
			receives := strings.ContainsAny(field["flags"], "tPSM") // tracking, subscribed, replica, master
			if !receives && !strings.HasPrefix(field["name"], "sentinel-") && !yield(field["id"]) {
				return
			}
		}
	}
}

// expectMasters notes the current masters as those that checkMasters expects.
func (in *injector) expectMasters() {
	now := in.masters()
	slices.Sort(now)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.expected = now
}

// checkMasters counts failovers that the run didn't cause but a busy machine did. Which writes they lost is unknown.
func (in *injector) checkMasters() {
	now := in.masters()
	slices.Sort(now)
	in.mu.Lock()
	defer in.mu.Unlock()
	if !slices.Equal(now, in.expected) {
		in.unplanned++
	}
}
