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

	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/internal/redistest"
)

// failovers are the faults after which another server is the master.
func failovers() []fault {
	replicated := []Topology{Sentinel, Cluster}
	return []fault{
		{"failover", servers, []Topology{Cluster}, (*injector).failoverCluster},
		{"failover", servers, []Topology{Sentinel}, (*injector).failoverSentinel},
		{"kill a master", servers, replicated, (*injector).killInSync},
		{"kill a master and lose writes", servers, replicated, (*injector).killBehind},
	}
}

const pauseLimit = 20 * time.Second // of writes, should nobody end the pause

// victim is a master that is to lose its place, and the replica that is to have it.
type victim struct {
	server  *redistest.Server
	node    node
	replica node
}

// victim waits until there is a replica that hears its master.
func (in *injector) victim() (v victim, err error) {
	in.checkMasters()
	all := in.deployment.masters()
	v.server = all[in.rng.IntN(len(all))]
	v.node = node(v.server.Addr())
	err = await(func() (err error) {
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
	return "", fmt.Errorf("%s has no replica that hears it", n)
}

// catchUp stops writes to the master and waits until its replica has all of them.
func (v victim) catchUp() error {
	if _, err := v.node.do("CLIENT", "PAUSE", pauseLimit.Milliseconds(), "WRITE"); err != nil {
		return err
	}
	return v.caughtUp()
}

// caughtUp waits until the replica has all that the master has now.
func (v victim) caughtUp() error {
	master, err := v.node.role()
	if err != nil {
		return err
	}
	return await(func() error {
		offset, err := v.replica.info("slave_repl_offset")
		if err == nil && offset < master.offset {
			err = fmt.Errorf("the replica is at %d, the master at %d", offset, master.offset)
		}
		return err
	})
}

// killInSync ends a master whose replica has all that was ever acknowledged.
func (in *injector) killInSync() {
	end := in.outage(in.fleet.slots...)
	v, err := in.victim()
	if err == nil {
		err = v.catchUp()
	}
	if err == nil {
		v.server.Kill()
		err = in.succeed(v, end)
	}
	if err != nil {
		end(failoverTrouble)
		in.t.Errorf("chaos: killing a master: %v", err)
	}
}

// killBehind ends a master whose replica has not heard of it for a moment, so that what it acknowledged meanwhile is lost.
func (in *injector) killBehind() {
	end := in.outage(in.fleet.slots...)
	v, err := in.victim()
	var l *loss
	if err == nil {
		l, err = in.fallBehind(v)
	}
	if err == nil {
		err = l.remains(v.replica)
	}
	if err == nil {
		err = in.succeed(v, end)
	}
	if err != nil {
		end(failoverTrouble)
		in.t.Errorf("chaos: killing a master that is ahead of its replica: %v", err)
		return
	}
	in.lose(l)
}

// fallBehind cuts the replica off, lets the master go on for a while and kills it. The replica is frozen as long, since
// it would connect again at once. The pause at the end makes what is read of the master its last state.
func (in *injector) fallBehind(v victim) (l *loss, err error) {
	l = &loss{owned: in.ownedBy(v.node)}
	l.cutFrom = history.Clock()
	if err := v.caughtUp(); err != nil { // else it may lose what was acknowledged long before
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

// succeed waits until the replica of a dead master has taken its place, and brings the master back as a replica.
func (in *injector) succeed(v victim, end func(time.Duration)) error {
	in.deployment.masters()
	end(failoverTrouble)
	v.server.Restart()
	if in.options.Topology == Sentinel {
		if err := v.node.follow(v.replica); err != nil { // the sentinels would, but take seconds
			return err
		}
	}
	in.expect()
	return await(func() error {
		_, err := v.replica.linkedReplica()
		return err
	})
}

// freeze stops a server that may be a replica, which redistest doesn't lend, and returns when it has stopped.
func (n node) freeze() (thaw func() error, err error) {
	number, err := n.info("process_id")
	if err != nil {
		return nil, err
	}
	p, err := os.FindProcess(int(number))
	if err != nil {
		return nil, err
	}
	return func() error { return p.Signal(syscall.SIGCONT) }, freeze(p)
}

func (n node) follow(master node) error {
	host, port, err := net.SplitHostPort(string(master))
	if err == nil {
		_, err = n.do("REPLICAOF", host, port)
	}
	return err
}

// failoverCluster loses nothing: the master refuses writes until its replica has taken over.
func (in *injector) failoverCluster() {
	end := in.outage(in.fleet.slots...)
	in.checkMasters()
	in.deployment.failover()
	end(failoverTrouble)
	in.expect()
}

// failoverSentinel has the sentinels promote the replica while the master is well. They leave the old master as it is
// for seconds, so that there are two: what clients of the old one write is lost, and what they read may be outdated. No
// cache can know that. So neither takes writes until the last client that reads and writes has left the old one. From
// then on there is only one that anybody asks, and what is left on the other are the connections on which caches hear of
// changes: open, answering, and silent.
func (in *injector) failoverSentinel() {
	end := in.outage(in.fleet.slots...)
	defer in.expect()
	v, err := in.victim()
	if err == nil {
		err = v.catchUp()
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
		err = v.node.follow(v.replica)
	}
	if err = errors.Join(err, v.node.unpause()); err != nil {
		in.t.Errorf("chaos: a failover: %v", err)
	}
}

// promote returns when all sentinels know the new master, and only streams are left on the old one.
func (in *injector) promote(v victim) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		in.deployment.failover()
	}()
	err := await(func() error {
		r, err := v.replica.role()
		if err == nil && !r.master {
			err = errors.New("the replica is one still")
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
	return v.node.ask(func(ctx context.Context, r *redis.Client) error {
		list, err := r.ClientList(ctx).Result()
		if err != nil {
			return err
		}
		for id := range strangers(list) {
			err = errors.Join(err, r.ClientKillByFilter(ctx, "ID", id, "SKIPME", "yes").Err())
		}
		return err
	})
}

// strangers yields the clients of a CLIENT LIST that neither hear of changes nor are Redis's own.
func strangers(list string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(list) {
			field := make(map[string]string)
			for f := range strings.FieldsSeq(line) {
				name, value, _ := strings.Cut(f, "=")
				field[name] = value
			}
			hears := strings.ContainsAny(field["flags"], "tPSM") // tracking, subscribed, replica, master
			if !hears && !strings.HasPrefix(field["name"], "sentinel-") && !yield(field["id"]) {
				return
			}
		}
	}
}

// expect takes the masters that there are now for those that there should be.
func (in *injector) expect() {
	now := in.masters()
	slices.Sort(now)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.expected = now
}
