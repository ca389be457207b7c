package doctor

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/connect"
)

// lead is where a connection leads.
type lead struct {
	id     string // of the connection, at the server; "": unknown
	run    string // of the server's process
	here   string // this end's address, as this machine has it
	there  string // and as the server has it
	failed error
}

const connectionsTried = 3

// examineConnections compares several connections: all must lead to the same server, each to a client of its own there.
func (e *examination) examineConnections(ctx context.Context, s *server) {
	var ids, runs []string
	rewritten := ""
	for range connectionsTried {
		l := follow(ctx, s.Client)
		if l.failed != nil {
			e.found(s, connections, Skipped, reason(l.failed), "")
			return
		}
		ids, runs = append(ids, l.id), append(runs, l.run)
		if l.there != "" && l.here != l.there {
			rewritten = l.there
		}
	}
	const direct = "connect to Redis itself"
	switch {
	case differ(runs):
		e.found(s, connections, Failure, "connections lead to different servers: what one deletes, another still has", "name one server in the URL, not a balancer of load")
	case repeated(ids):
		e.found(s, connections, Failure, "two connections have the same CLIENT ID: a proxy shares them, and reports of changes go to any of its clients", direct)
	case ids[0] == "" && runs[0] == "":
		e.found(s, connections, Skipped, "it takes +client|id +client|info +info", "")
	case rewritten != "":
		e.found(s, connections, OK, fmt.Sprintf("an address translation or a proxy: for Redis this client is %s", rewritten), "")
	default:
		e.found(s, connections, OK, "nothing is seen between this machine and Redis", "")
	}
}

// follow makes a connection, and asks where it leads.
func follow(ctx context.Context, client *redis.Client) (l lead) {
	o := *client.Options()
	dial := o.Dialer
	o.PoolSize, o.MinIdleConns, o.MaxActiveConns = 1, 0, 0
	o.PushNotificationProcessor = redis.NewPushNotificationProcessor() // a client's may not be shared
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil && conn.LocalAddr().Network() == "tcp" {
			l.here = conn.LocalAddr().String()
		}
		return conn, err
	}
	one := redis.NewClient(&o)
	defer one.Close()
	id := one.Do(ctx, "client", "id")
	if err := id.Err(); err != nil && !redis.HasErrorPrefix(err, "NOPERM") && !strings.Contains(err.Error(), "unknown") {
		l.failed = err
		return l
	}
	if n, err := id.Int64(); err == nil {
		l.id = fmt.Sprint(n)
	}
	l.run = connect.Info(ctx, one)["run_id"]
	if text, err := one.Do(ctx, "client", "info").Text(); err == nil && l.here != "" {
		for field := range strings.FieldsSeq(text) {
			if addr, ok := strings.CutPrefix(field, "addr="); ok {
				l.there = addr
			}
		}
	}
	return l
}

// differ reports whether two of the values are known and differ.
func differ(values []string) bool {
	for _, v := range values {
		if v != "" && values[0] != "" && v != values[0] {
			return true
		}
	}
	return false
}

// repeated reports whether two of the values are known and equal.
func repeated(values []string) bool {
	seen := make(map[string]bool)
	for _, v := range values {
		if v != "" && seen[v] {
			return true
		}
		seen[v] = true
	}
	return false
}
