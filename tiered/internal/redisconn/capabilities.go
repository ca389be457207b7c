package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// capabilities is whether the servers do for the client's user everything that the caches need. All masters are asked by
// NewRedis; when one first answers, if it didn't then; and after a server refused a command, until none is refused any more.
// Between these they are asked now and then: a server that became a replica may not refuse anything.
type capabilities struct {
	checkAt atomic.Int64 // the Instant from which on an answer of a server is the occasion to ask

	mu        sync.Mutex
	checking  bool
	checkedAt mono.Instant        // the last time; 0: never in the background
	missing   map[string]*missing // by address
	deferred  deferredCalls
}

const ( // in heartbeats
	checkEvery  = 10
	recheckSoon = 5 // where something is missing, or a server hasn't answered
)

// queueAll queues each command that the caches use. They change nothing: the key is no cache's, it doesn't exist, and the
// option of SET keeps it from being made. Redis checks the name of a command and the user's rights before it looks for the
// key, so that each node of a Cluster can be asked with the same key.
func (c *Conn) queueAll(ctx context.Context, pipe redis.Pipeliner) {
	key := wire.ProbeKey(c.Prefix, c.ID)
	pipe.Time(ctx)
	pipe.Get(ctx, key)
	pipe.SetXX(ctx, key, "", redis.KeepTTL)
	pipe.Del(ctx, key)
	pipe.Eval(ctx, "return 0", []string{key})
	pipe.PTTL(ctx, key)
	pipe.PExpire(ctx, key, time.Second)
	pipe.GetRange(ctx, key, 0, -1)
	pipe.SetRange(ctx, key, 0, "")
	pipe.Do(ctx, "incrby", key, "not a number")
	c.InvalidationCommands(ctx, pipe)
}

// checkServer asks one server, in one round trip. answered is false if it isn't known yet whether anything is missing.
func (c *Conn) checkServer(ctx context.Context, server redis.UniversalClient) (errs []error, answered bool) {
	node, known := server.(*redis.Client)
	if known {
		if err := checkOptions(node.Options()); err != nil { // ClusterOptions.NewClient has made it
			return []error{err}, true
		}
	}
	var hello *redis.Cmd
	commands, _ := server.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its own error
		if known { // else any node of a Cluster may answer
			hello = pipe.Do(ctx, "hello")
		}
		c.queueAll(ctx, pipe)
		return nil
	})
	refusesWrites := false
	for _, cmd := range commands {
		err := cmd.Err()
		cl := classify(err)
		switch {
		case cmd == hello:
		case cl.isMissing(), redis.HasErrorPrefix(err, "syntax error"):
			errs = append(errs, fmt.Errorf("%s: %w", cmd.FullName(), err))
		default:
			refusesWrites = refusesWrites || redis.IsReadOnlyError(err)
		}
		answered = answered || cl == success || cl == noValue || cl.isReply()
	}
	switch role := roleIn(hello); {
	case role == "replica", role == "slave", role == "" && refusesWrites:
		errs = append(errs, ErrReplica)
	}
	return errs, answered
}

// roleIn returns the role in the reply to HELLO, or "": a server of an old version, or another program, may not send it.
// HELLO takes no right.
func roleIn(hello *redis.Cmd) string {
	if hello == nil || hello.Err() != nil {
		return ""
	}
	switch reply := hello.Val().(type) {
	case map[any]any:
		role, _ := reply["role"].(string)
		return role
	case []any: // RESP2
		for i := 0; i+1 < len(reply); i += 2 {
			if reply[i] == "role" {
				role, _ := reply[i+1].(string)
				return role
			}
		}
	}
	return ""
}

// serverReport is what a server lacks.
type serverReport struct {
	addr string
	errs []error // none: nothing
}

// reports are those of the servers that answered.
type reports struct {
	servers  []serverReport
	complete bool // every server answered
}

// checkServers asks all masters.
func (c *Conn) checkServers(ctx context.Context) reports {
	got, err := Call(ctx, c, "rights", nil, func(ctx context.Context) (reports, error) {
		cluster, ok := c.Client.(*redis.ClusterClient)
		if ok {
			return c.checkMasters(ctx, cluster), nil
		}
		errs, answered := c.checkServer(ctx, c.Client)
		if !answered {
			return reports{}, nil
		}
		return reports{[]serverReport{{c.Nodes.Only.Breaker.Addr(), errs}}, true}, nil
	})
	got.complete = got.complete && err == nil
	return got
}

func (c *Conn) checkMasters(ctx context.Context, cluster *redis.ClusterClient) reports {
	var mu sync.Mutex
	got := reports{complete: true}
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		var errs []error
		var answered bool
		err := c.CatchPanics(func() error { // the goroutine is the client's
			errs, answered = c.checkServer(ctx, node)
			return nil
		})
		mu.Lock()
		defer mu.Unlock()
		if answered = answered && err == nil; answered {
			got.servers = append(got.servers, serverReport{node.Options().Addr, errs})
		}
		got.complete = got.complete && answered
		return nil
	})
	if classify(err).isMissing() {
		got.servers = append(got.servers, serverReport{"cluster", []error{fmt.Errorf("cluster slots: %w", err)}})
		got.complete = true
	} else {
		got.complete = got.complete && err == nil
	}
	slices.SortFunc(got.servers, func(a, b serverReport) int { return cmp.Compare(a.addr, b.addr) })
	return got
}

// CheckCapabilities asks until it is known of all masters whether anything is missing, or ctx ends. A replica may be one
// because a failover isn't over yet. The nodes of a real Cluster say themselves which of them are masters.
func (c *Conn) CheckCapabilities(ctx context.Context) error {
	cluster, is := c.Client.(*redis.ClusterClient)
	replicasSettle := is && cluster.Options().ClusterSlots == nil
	var errs []error
	for {
		asked := mono.Now()
		got := c.checkServers(ctx)
		if len(got.servers) == 0 {
			return Join(errs) // of the last servers that answered
		}
		errs = nil
		replica := false
		for _, v := range got.servers {
			if replicasSettle {
				v.errs = slices.DeleteFunc(slices.Clone(v.errs), func(err error) bool { return errors.Is(err, ErrReplica) })
			}
			if len(v.errs) > 0 {
				errs = append(errs, &missingError{v.addr, v.errs})
				replica = replica || slices.Contains(v.errs, ErrReplica)
			}
		}
		if replica && mono.Sleep(ctx, 20*time.Millisecond, nil) {
			continue
		}
		if got.complete && len(errs) == 0 {
			c.noteReports(asked, got)
		}
		return Join(errs)
	}
}

// recheckIfDue asks the servers in the background, if it is time.
func (c *Conn) recheckIfDue(at mono.Instant) {
	cs := &c.Capabilities
	if int64(at) < cs.checkAt.Load() {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.checking || int64(at) < cs.checkAt.Load() || !c.Started.Load() {
		return
	}
	cs.checking = c.Calls.Go(func() {
		asked := mono.Now()
		c.noteReports(asked, c.checkServers(c.Context))
	})
	if cs.checking {
		cs.checkedAt = mono.Now()
	}
}

// checkSoon has the servers checked as soon as one answers, but not more than once in a heartbeat.
func (cs *capabilities) checkSoon(c *Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.checkSoonLocked(c)
}

// checkSoonLocked is checkSoon with the lock.
func (cs *capabilities) checkSoonLocked(c *Conn) {
	next := mono.Instant(0)
	if cs.checkedAt > 0 {
		next = cs.checkedAt.Add(c.Heartbeat)
	}
	if int64(next) < cs.checkAt.Load() {
		cs.checkAt.Store(int64(next))
	}
}

// noteReports takes the reports of the servers that were asked at the instant.
func (c *Conn) noteReports(asked mono.Instant, got reports) {
	cs, beat := &c.Capabilities, min(c.Heartbeat, time.Hour)
	soon := recheckSoon * beat
	defer cs.deferred.run()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.checking = false
	wait := checkEvery * beat
	if !got.complete {
		wait = min(wait, soon)
	}
	for _, v := range got.servers {
		m := cs.missing[v.addr]
		switch {
		case len(v.errs) > 0:
			cs.markMissing(c, v.addr, v.errs)
			wait = min(wait, soon)
		case m == nil || m.err == nil:
		case m.refusedAt > 0 && m.refusedAt.Add(soon) > asked: // queueAll doesn't have the one that was refused
			wait = min(wait, soon)
		default:
			cs.markComplete(c, v.addr)
		}
	}
	for addr := range cs.missing {
		if got.complete && !slices.ContainsFunc(got.servers, func(v serverReport) bool { return v.addr == addr }) {
			cs.markComplete(c, addr) // it isn't a master any more
			delete(cs.missing, addr)
		}
	}
	cs.checkAt.Store(int64(mono.Now().Add(wait)))
}
