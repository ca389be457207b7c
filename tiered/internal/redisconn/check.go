package redisconn

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// checker asks servers whether they do what the caches need.
//
// It sends each command that the caches use, all in one pipeline, so that everything that is missing is found in one
// round trip and NewRedis can name it at once. An unknown command, a missing right and an option that an old server
// doesn't know each show as the error of their command. Errors that depend on the server's state don't count: a full
// memory is no lack. That the server is a replica does. HELLO shows it, or, if the reply has no role, that writes are
// refused with READONLY.
//
// In a Cluster each master is asked by its own client, in a goroutine of go-redis. A server that answers none of the
// commands has no report, and the reports are then incomplete, so that the check is repeated sooner.
type checker struct {
	caller *Caller
	nodes  *Nodes

	// InvalidationCommands queues the commands that the invalidations need.
	InvalidationCommands func(ctx context.Context, pipe redis.Pipeliner)
}

// queueAll queues each command that the caches use. They change nothing: the key is no cache's, it doesn't exist, and the
// option of SET keeps it from being made. Redis checks the name of a command and the user's rights before it looks for the
// key, so that each node of a Cluster can be asked with the same key.
func (c *checker) queueAll(ctx context.Context, pipe redis.Pipeliner) {
	key := wire.ProbeKey(c.caller.Prefix, c.caller.ID)
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
func (c *checker) checkServer(ctx context.Context, server redis.UniversalClient) (errs []error, answered bool) {
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
		errs = append(errs, errReplica)
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
func (c *checker) checkServers(ctx context.Context) reports {
	got, err := Call(ctx, c.caller, "rights", nil, func(ctx context.Context) (reports, error) {
		cluster, ok := c.caller.Client.(*redis.ClusterClient)
		if ok {
			return c.checkMasters(ctx, cluster), nil
		}
		errs, answered := c.checkServer(ctx, c.caller.Client)
		if !answered {
			return reports{}, nil
		}
		return reports{[]serverReport{{c.nodes.Only.Breaker.Addr(), errs}}, true}, nil
	})
	got.complete = got.complete && err == nil
	return got
}

func (c *checker) checkMasters(ctx context.Context, cluster *redis.ClusterClient) reports {
	var mu sync.Mutex
	got := reports{complete: true}
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		var errs []error
		var answered bool
		err := c.caller.CatchPanics(func() error { // the goroutine is the client's
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
