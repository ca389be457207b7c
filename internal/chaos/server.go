//go:build !windows

package chaos

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/history"
)

// serverFaults returns the faults of Redis that don't change the masters.
func serverFaults() []fault {
	return []fault{
		{"kill streams", servers, nil, func(in *injector) { in.killClients("pubsub") }},
		{"kill clients", servers, nil, func(in *injector) { in.killClients("normal") }},
		{"pause all", servers, nil, func(in *injector) { in.pauseClients("ALL") }},
		{"pause writes", servers, nil, func(in *injector) { in.pauseClients("WRITE") }},
		{"freeze redis", servers, nil, (*injector).freezeRedis},
		{"restart redis", servers, []Topology{Single}, (*injector).restartRedis},
		{"flush", servers, nil, func(in *injector) { in.foreign.flush(in.masters()) }},
		{"evict", servers, nil, (*injector).evict},
		{"swap", servers, []Topology{Single}, (*injector).swap},
	}
}

// do runs a command on a node; an error fails the test.
func (in *injector) do(n node, args ...any) any {
	v, err := n.do(args...)
	if err != nil {
		in.t.Errorf("chaos: %v", err)
	}
	return v
}

func (in *injector) killClients(kind string) {
	for _, m := range in.masters() {
		in.do(m, "CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
	}
}

func (in *injector) pauseClients(mode string) {
	defer in.outage(in.workers.slots...)(in.recovery())
	const length = 300 * time.Millisecond
	for _, m := range in.masters() {
		in.do(m, "CLIENT", "PAUSE", length.Milliseconds(), mode)
	}
	pause(context.Background(), length)
}

// freezeRedis freezes a master, but not for so long that a replica would be promoted.
func (in *injector) freezeRedis() {
	most := 2 * time.Second
	if in.options.Topology != Single {
		most = longestSilence
	}
	all := in.deployment.masters()
	defer in.outage(in.workers.slots...)(in.recovery())
	m := all[in.rng.IntN(len(all))]
	m.Freeze()
	in.hold(100*time.Millisecond, most)
	m.Thaw()
}

// restartRedis kills and restarts the server, which loses all data.
func (in *injector) restartRedis() {
	s := in.deployment.masters()[0]
	defer in.outage(in.workers.slots...)(in.recovery() + 500*time.Millisecond)
	start := history.Clock()
	s.Kill()
	in.hold(0, time.Second)
	s.Restart()
	in.foreign.record(history.Clear, "", start, history.Clock(), true)
}

// evict gives a master too little memory for a while, so that it evicts keys.
func (in *injector) evict() {
	m := in.master()
	before, err := m.info("evicted_keys")
	used, err2 := m.info("used_memory")
	if err != nil || err2 != nil {
		in.t.Errorf("chaos: %v %v", err, err2)
		return
	}
	in.do(m, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	in.do(m, "CONFIG", "SET", "maxmemory", used+256<<10)
	defer in.do(m, "CONFIG", "SET", "maxmemory", 0)
	err = m.withClient(func(ctx context.Context, r *redis.Client) error {
		filler := strings.Repeat("x", 8<<10)
		own, err := m.ownTag(ctx, r)
		for i := 0; err == nil && i < 200; i++ {
			err = r.Set(ctx, fmt.Sprintf("filler:{%s}:%d", own, i), filler, 10*time.Second).Err()
		}
		return err
	})
	if err != nil && !strings.Contains(err.Error(), "OOM") {
		in.t.Errorf("chaos: filling %s: %v", m, err)
	}
	if after, err := m.info("evicted_keys"); err == nil {
		in.evicted.Add(after - before)
	}
}

// loseTags deletes the records of all tags, as an eviction may.
func (in *injector) loseTags() {
	for _, m := range in.masters() {
		err := m.withClient(func(ctx context.Context, r *redis.Client) error {
			keys, err := r.Keys(ctx, redisPrefix+cacheName+"!tag:*").Result()
			for _, key := range keys {
				err = errors.Join(err, r.Del(ctx, key).Err())
			}
			return err
		})
		if err != nil {
			in.t.Errorf("chaos: %v", err)
		}
	}
}

// swap swaps the database in use for an empty one, which Redis doesn't report. It flushes the old one, which Redis does
// report, only after every cache must have noticed.
func (in *injector) swap() {
	m := in.master()
	in.foreign.swap(m)
	in.hold(in.options.Delta()+time.Second, in.options.Delta()+2*time.Second)
	err := m.withClient(func(ctx context.Context, r *redis.Client) error {
		_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Do(ctx, "SELECT", 1)
			p.FlushDB(ctx)
			return nil
		})
		return err
	})
	if err != nil {
		in.t.Errorf("chaos: %v", err)
	}
}

// ownTag returns a hash tag whose slot the node owns.
func (n node) ownTag(ctx context.Context, r *redis.Client) (string, error) {
	for i := range 1000 {
		tag := strconv.Itoa(i)
		err := r.Exists(ctx, "filler:{"+tag+"}").Err()
		if err == nil || !strings.HasPrefix(err.Error(), "MOVED") {
			return tag, err
		}
	}
	return "", fmt.Errorf("%s has no slots", n)
}
