package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/wire"
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
				v.errs = slices.DeleteFunc(slices.Clone(v.errs), func(err error) bool { return errors.Is(err, errReplica) })
			}
			if len(v.errs) > 0 {
				errs = append(errs, &missingError{v.addr, v.errs})
				replica = replica || slices.Contains(v.errs, errReplica)
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
