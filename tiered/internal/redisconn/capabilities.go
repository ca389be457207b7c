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
	next atomic.Int64 // the Instant from which on an answer of a server is the occasion to ask

	mu       sync.Mutex
	asking   bool
	asked    mono.Instant        // the last time; 0: never in the background
	missing  map[string]*missing // by address
	unlogged []logLine
}

const ( // in heartbeats
	checkEvery  = 10
	recheckSoon = 5 // where something is missing, or a server hasn't answered
)

// commands queues each command that the caches use. They change nothing: the key is no cache's, it doesn't exist, and the
// option of SET keeps it from being made. Redis checks the name of a command and the user's rights before it looks for the
// key, so that each node of a Cluster can be asked with the same key.
func (r *Conn) commands(ctx context.Context, p redis.Pipeliner) {
	key := wire.ProbeKey(r.Prefix, r.ID)
	p.Time(ctx)
	p.Get(ctx, key)
	p.SetXX(ctx, key, "", redis.KeepTTL)
	p.Del(ctx, key)
	p.Eval(ctx, "return 0", []string{key})
	p.PTTL(ctx, key)
	p.PExpire(ctx, key, time.Second)
	p.GetRange(ctx, key, 0, -1)
	p.SetRange(ctx, key, 0, "")
	p.Do(ctx, "incrby", key, "not a number")
	r.Needs(ctx, p)
}

// missingAt asks one server, in one round trip. answered is false if it isn't known yet whether anything is missing.
func (r *Conn) missingAt(ctx context.Context, server redis.UniversalClient) (errs []error, answered bool) {
	node, known := server.(*redis.Client)
	if known {
		if err := checkOptions(node.Options()); err != nil { // ClusterOptions.NewClient has made it
			return []error{err}, true
		}
	}
	var hello *redis.Cmd
	commands, _ := server.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		if known { // else any node of a Cluster may answer
			hello = p.Do(ctx, "hello")
		}
		r.commands(ctx, p)
		return nil
	})
	refusesWrites := false
	for _, cmd := range commands {
		err := cmd.Err()
		c := classify(err)
		switch {
		case cmd == hello:
		case c.isLack(), redis.HasErrorPrefix(err, "syntax error"):
			errs = append(errs, fmt.Errorf("%s: %w", cmd.FullName(), err))
		default:
			refusesWrites = refusesWrites || redis.IsReadOnlyError(err)
		}
		answered = answered || c == success || c == nothing || c.isReply()
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

// verdict is what a server lacks.
type verdict struct {
	addr string
	errs []error // none: nothing
}

// verdicts are those of the servers that answered.
type verdicts struct {
	servers []verdict
	all     bool // every server answered
}

// askCapabilities asks all masters.
func (r *Conn) askCapabilities(ctx context.Context) verdicts {
	got, err := Call(ctx, r, "rights", nil, func(ctx context.Context) (verdicts, error) {
		cluster, ok := r.Client.(*redis.ClusterClient)
		if ok {
			return r.askMasters(ctx, cluster), nil
		}
		errs, answered := r.missingAt(ctx, r.Client)
		if !answered {
			return verdicts{}, nil
		}
		return verdicts{[]verdict{{r.Nodes.Only.Breaker.Addr(), errs}}, true}, nil
	})
	got.all = got.all && err == nil
	return got
}

func (r *Conn) askMasters(ctx context.Context, cluster *redis.ClusterClient) verdicts {
	var mu sync.Mutex
	got := verdicts{all: true}
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		var errs []error
		var answered bool
		err := r.Guard(func() error { // the goroutine is the client's
			errs, answered = r.missingAt(ctx, node)
			return nil
		})
		mu.Lock()
		defer mu.Unlock()
		if answered = answered && err == nil; answered {
			got.servers = append(got.servers, verdict{node.Options().Addr, errs})
		}
		got.all = got.all && answered
		return nil
	})
	if classify(err).isLack() {
		got.servers = append(got.servers, verdict{"cluster", []error{fmt.Errorf("cluster slots: %w", err)}})
		got.all = true
	} else {
		got.all = got.all && err == nil
	}
	slices.SortFunc(got.servers, func(a, b verdict) int { return cmp.Compare(a.addr, b.addr) })
	return got
}

// CheckCapabilities asks until it is known of all masters whether anything is missing, or ctx ends. A replica may be one
// because a failover isn't over yet. The nodes of a real Cluster say themselves which of them are masters.
func (r *Conn) CheckCapabilities(ctx context.Context) error {
	cluster, is := r.Client.(*redis.ClusterClient)
	replicasSettle := is && cluster.Options().ClusterSlots == nil
	var errs []error
	for {
		asked := mono.Now()
		got := r.askCapabilities(ctx)
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
		if replica && pauseFor(ctx, 20*time.Millisecond) {
			continue
		}
		if got.all && len(errs) == 0 {
			r.learnCapabilities(asked, got)
		}
		return Join(errs)
	}
}

// recheckCapabilities asks the servers in the background, if it is time.
func (r *Conn) recheckCapabilities(at mono.Instant) {
	cs := &r.Capabilities
	if int64(at) < cs.next.Load() {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.asking || int64(at) < cs.next.Load() || !r.Started.Load() {
		return
	}
	cs.asking = r.Calls.Go(func() {
		asked := mono.Now()
		r.learnCapabilities(asked, r.askCapabilities(r.Life))
	})
	if cs.asking {
		cs.asked = mono.Now()
	}
}

// checkSoon has the servers asked as soon as one answers, but not more than once in a heartbeat.
func (cs *capabilities) checkSoon(r *Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.hasten(r)
}

// hasten is checkSoon with the lock.
func (cs *capabilities) hasten(r *Conn) {
	next := mono.Instant(0)
	if cs.asked > 0 {
		next = cs.asked.Add(r.Heartbeat)
	}
	if int64(next) < cs.next.Load() {
		cs.next.Store(int64(next))
	}
}

// learnCapabilities takes the verdicts of the servers that were asked at the instant.
func (r *Conn) learnCapabilities(asked mono.Instant, got verdicts) {
	cs, beat := &r.Capabilities, min(r.Heartbeat, time.Hour)
	soon := recheckSoon * beat
	defer cs.flushLog(r)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.asking = false
	wait := checkEvery * beat
	if !got.all {
		wait = min(wait, soon)
	}
	for _, v := range got.servers {
		m := cs.missing[v.addr]
		switch {
		case len(v.errs) > 0:
			cs.begins(v.addr, v.errs)
			wait = min(wait, soon)
		case m == nil || m.err == nil:
		case m.seen > 0 && m.seen.Add(soon) > asked: // commands doesn't have the one that was refused
			wait = min(wait, soon)
		default:
			cs.ends(v.addr)
		}
	}
	for addr := range cs.missing {
		if got.all && !slices.ContainsFunc(got.servers, func(v verdict) bool { return v.addr == addr }) {
			cs.ends(addr) // it isn't a master any more
			delete(cs.missing, addr)
		}
	}
	cs.next.Store(int64(mono.Now().Add(wait)))
}
