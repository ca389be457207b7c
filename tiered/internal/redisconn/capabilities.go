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

// capabilities is what is known of whether the servers do for the client's user all that the caches need. It is asked of every
// master by NewRedis; when one first answers, if it didn't then; and each time that a server refuses a command, until it
// refuses none. In between it is asked now and then: a server that became a replica may not refuse anything.
type capabilities struct {
	next atomic.Int64 // the instant from which on an answer of a server is the occasion to ask

	mu      sync.Mutex
	asking  bool
	asked   mono.Instant        // the last time; 0: never in the background
	lacking map[string]*missing // by address
	untold  []logLine
}

const ( // heartbeats
	askRightsEvery = 10
	askRightsSoon  = 5 // where something is missing, or a server hasn't answered
)

// commands queues each command that the caches use. They change nothing: the key, which is no cache's, isn't there, and SET has
// the option not to make it. Redis judges the rights and the name of a command before it looks for the key, so that each
// node of a Cluster can be asked with the same one.
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

// missingAt asks one server, in one round trip. answered is false if it is still not known whether anything is missing.
func (r *Conn) missingAt(ctx context.Context, server redis.UniversalClient) (errs []error, answered bool) {
	node, known := server.(*redis.Client)
	if known {
		if err := checkOptions(node.Options()); err != nil { // ClusterOptions.NewClient has made it
			return []error{err}, true
		}
	}
	var role *redis.Cmd
	commands, _ := server.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		if known { // else any node of a Cluster may answer
			role = p.Do(ctx, "hello")
		}
		r.commands(ctx, p)
		return nil
	})
	readOnly := false
	for _, c := range commands {
		err := c.Err()
		switch {
		case c == role:
		case isLack(err), redis.HasErrorPrefix(err, "ERR syntax error"):
			errs = append(errs, fmt.Errorf("%s: %w", c.FullName(), err))
		default:
			readOnly = readOnly || redis.IsReadOnlyError(err)
		}
		answered = answered || err == nil || isReply(err) || errors.Is(err, redis.Nil)
	}
	switch told := roleIn(role); {
	case told == "replica", told == "slave", told == "" && readOnly:
		errs = append(errs, ErrReplica)
	}
	return errs, answered
}

// roleIn returns the role in the reply to HELLO, or nothing: a server of an old version, or another program, may not have
// that. HELLO takes no right.
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

// verdict is what a server answered.
type verdict struct {
	addr string
	errs []error
}

// askCapabilities asks all masters. It returns what those said that answered; all: they did.
func (r *Conn) askCapabilities(ctx context.Context) (said []verdict, all bool) {
	type reply struct {
		said []verdict
		all  bool
	}
	got, err := Call(ctx, r, "rights", nil, func(ctx context.Context) (reply, error) {
		cluster, ok := r.Client.(*redis.ClusterClient)
		if !ok {
			errs, answered := r.missingAt(ctx, r.Client)
			if !answered {
				return reply{}, nil
			}
			return reply{[]verdict{{r.Nodes.Only.Breaker.Addr(), errs}}, true}, nil
		}
		var mu sync.Mutex
		got := reply{all: true}
		err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			var errs []error
			var answered bool
			err := r.Guard(func() error { // it isn't our goroutine
				errs, answered = r.missingAt(ctx, node)
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			if answered = answered && err == nil; answered {
				got.said = append(got.said, verdict{node.Options().Addr, errs})
			}
			got.all = got.all && answered
			return nil
		})
		if isLack(err) {
			got.said, got.all = append(got.said, verdict{"cluster", []error{fmt.Errorf("cluster slots: %w", err)}}), true
		} else if err != nil {
			got.all = false
		}
		slices.SortFunc(got.said, func(a, b verdict) int { return cmp.Compare(a.addr, b.addr) })
		return got, nil
	})
	return got.said, err == nil && got.all
}

// CheckCapabilities asks until it is known of all masters whether anything is missing, or ctx ends. A replica may be one since a
// failover isn't over yet; the nodes of a real Cluster tell themselves which of them are masters.
func (r *Conn) CheckCapabilities(ctx context.Context) error {
	cluster, is := r.Client.(*redis.ClusterClient)
	settles := is && cluster.Options().ClusterSlots == nil
	var lacks []error
	for {
		asked := mono.Now()
		said, all := r.askCapabilities(ctx)
		if len(said) == 0 {
			return Join(lacks) // which is what was last said
		}
		lacks = nil
		replica := false
		for _, v := range said {
			if settles {
				v.errs = slices.DeleteFunc(slices.Clone(v.errs), func(err error) bool { return errors.Is(err, ErrReplica) })
			}
			if len(v.errs) > 0 {
				lacks = append(lacks, &missingError{v.addr, v.errs})
				replica = replica || slices.Contains(v.errs, ErrReplica)
			}
		}
		if replica && pauseFor(ctx, 20*time.Millisecond) {
			continue
		}
		if all && len(lacks) == 0 {
			r.learnCapabilities(asked, said, true)
		}
		return Join(lacks)
	}
}

// pauseFor reports whether the time is over before ctx ends.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// recheckCapabilities has the servers asked, in the background, if it is time.
func (r *Conn) recheckCapabilities(at mono.Instant) {
	if int64(at) < r.Capabilities.next.Load() {
		return
	}
	rs := &r.Capabilities
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.asking || int64(at) < rs.next.Load() || !r.Started.Load() || !r.Calls.Begin() {
		return
	}
	rs.asking, rs.asked = true, mono.Now()
	go func() {
		defer r.Calls.End()
		asked := mono.Now()
		said, all := r.askCapabilities(r.Life)
		r.learnCapabilities(asked, said, all)
	}()
}

// learnCapabilities takes in what the servers said that were asked at the instant.
func (r *Conn) learnCapabilities(asked mono.Instant, said []verdict, all bool) {
	rs, beat := &r.Capabilities, min(r.Heartbeat, time.Hour)
	soon := askRightsSoon * beat
	defer rs.tell(r) // without the lock: a Logger may ask for the Status
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.asking = false
	wait := askRightsEvery * beat
	if !all {
		wait = min(wait, soon)
	}
	for _, v := range said {
		l := rs.lacking[v.addr]
		switch {
		case len(v.errs) > 0:
			rs.lacks(v.addr, v.errs)
			wait = min(wait, soon)
		case l == nil || l.err == nil:
		case l.seen > 0 && l.seen.Add(soon) > asked: // what was refused isn't among what is asked
			wait = min(wait, soon)
		default:
			rs.ends(v.addr)
		}
	}
	for addr := range rs.lacking {
		if all && !slices.ContainsFunc(said, func(v verdict) bool { return v.addr == addr }) {
			rs.ends(addr) // it isn't a master any more
			delete(rs.lacking, addr)
		}
	}
	rs.next.Store(int64(mono.Now().Add(wait)))
}
