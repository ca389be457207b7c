//go:build !windows

package redistest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Reuse has a server serve several tests of the binary, one after the other, because a start costs more than most tests. A test can't
// tell. A server is reused if Start got no arguments, the test neither killed nor froze it, and it got only commands whose effects a
// FLUSHALL, a SCRIPT FLUSH and a CONFIG RESETSTAT undo; any other server ends with its test.
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(redistest.Reuse(m)) }
func Reuse(m *testing.M) *Reusing { return &Reusing{m} }

// Reusing are the tests of a binary that reuses servers.
type Reusing struct{ m *testing.M }

// Run runs the tests, and ends the servers.
func (r *Reusing) Run() int {
	idle.enable(true)
	defer idle.enable(false)
	return r.m.Run()
}

// idle has the servers that no test uses.
var idle idleServers

type idleServers struct {
	mu      sync.Mutex
	enabled bool
	servers []*Server
}

// enable begins or ends the reuse of servers.
func (i *idleServers) enable(on bool) {
	i.mu.Lock()
	servers := i.servers
	i.enabled, i.servers = on, nil
	i.mu.Unlock()
	for _, s := range servers {
		_ = s.end() // no test is left to report an error to
	}
}

// serves reports whether s may be one of the servers.
func (i *idleServers) serves(s *Server) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.enabled && s.role == standalone && len(s.args) == 0
}

// lend makes s one of the servers, and reports whether there is one.
func (i *idleServers) lend(s *Server) bool {
	if !i.serves(s) {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for at, other := range slices.Backward(i.servers) {
		if other.path == s.path {
			i.servers = slices.Delete(i.servers, at, at+1)
			s.dir, s.port, s.proc = other.dir, other.port, other.proc
			return true
		}
	}
	return false
}

// keep keeps s for another test, if it can be made like new. It reports whether it does.
func (i *idleServers) keep(s *Server) bool {
	if !i.serves(s) || !s.reset() {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.enabled {
		i.servers = append(i.servers, &Server{path: s.path, dir: s.dir, port: s.port, proc: s.proc})
	}
	return i.enabled
}

// reset makes the server like a new one. It reports whether that is possible.
func (s *Server) reset() bool {
	if s.disturbed {
		return false
	}
	err := s.withClient(func(ctx context.Context, r *redis.Client) error {
		stats, err := r.Info(ctx, "commandstats").Result()
		if err != nil {
			return err
		}
		if !likeNew(parseCalls(parseInfo(stats))) {
			return errors.New("it can't be reset")
		}
		_, err = r.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Do(ctx, "CLIENT", "KILL", "SKIPME", "yes") // what the test has left
			p.FlushAll(ctx)
			p.ScriptFlush(ctx)
			p.ConfigResetStat(ctx)
			p.LastSave(ctx)
			return nil
		})
		return err
	})
	return err == nil
}

// likeNew reports whether all the commands are undone by those of reset. It knows of none before the last CONFIG RESETSTAT, which
// must be that of reset, with a LASTSAVE after it, and no test's.
func likeNew(calls map[string]int) bool {
	for command := range calls {
		if !slices.Contains(undone, command) {
			return false
		}
	}
	return calls["config|resetstat"] == calls["lastsave"]
}

// undone are the commands that change data, scripts, statistics or their own connection.
var undone = strings.Fields(`
	hello info lastsave ping select time command config|get config|resetstat
	client|getname client|getredir client|id client|info client|kill client|list client|setinfo client|setname client|tracking
	client|trackinginfo client|maint_notifications
	append copy dbsize decr decrby del exists expire expireat flushall flushdb get getdel getex getrange getset incr incrby keys memory|usage
	mget mset object|encoding object|freq object|idletime persist pexpire pexpireat pexpiretime psetex pttl randomkey rename scan set setex
	setnx setrange strlen touch ttl type unlink
	hdel hget hgetall hset lindex llen lpush lrange rpop rpush sadd scard sismember smembers srem
	zadd zcard zcount zrange zrangebyscore zrem zremrangebyscore zscore
	eval evalsha script|exists script|flush script|load discard exec multi unwatch watch
	psubscribe publish pubsub|channels pubsub|numsub pubsub|numpat punsubscribe subscribe unsubscribe`)
