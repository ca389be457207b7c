package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/connect"
)

// examineServer reports what kind of server it is, and whether it has RESP3.
func (e *examination) examineServer(ctx context.Context, s *server) {
	e.found(s, connection, OK, "Redis answers", "")
	info := connect.Info(ctx, s.Client)
	version, program := s.hello.Version, s.hello.Server
	if version == "" {
		version, program = info["redis_version"], "redis"
	}
	mode, role := cmp.Or(s.hello.Mode, info["redis_mode"]), cmp.Or(s.hello.Role, info["role"])
	kind := strings.TrimSpace(fmt.Sprintf("%s %s %s", program, version, strings.Join(nonEmpty(mode, role), ", ")))
	switch {
	case mode == "sentinel":
		e.found(s, serverKind, Failure, kind+": it has no values, but knows the servers that have", sentinelFix(ctx, s.Client))
		return
	case role == "replica", role == "slave":
		fix := "name the master in the URL"
		if host := info["master_host"]; host != "" {
			fix = fmt.Sprintf("name its master in the URL: %s:%s", host, info["master_port"])
		}
		e.found(s, serverKind, Failure, kind+": a replica may still have what was deleted", fix)
	case kind == "":
		e.found(s, serverKind, Skipped, "HELLO and INFO are refused", "")
	case major(version) > 0 && major(version) < 6:
		e.found(s, serverKind, Failure, kind, "use Redis 6 or newer, or Valkey")
	default:
		e.found(s, serverKind, OK, kind, "")
	}
	e.examineProtocol(ctx, s)
}

// examineProtocol reports whether the server has RESP3, which Tracking needs.
func (e *examination) examineProtocol(ctx context.Context, s *server) {
	cn := s.Conn()
	defer cn.Close()
	if err := cn.Hello(ctx, 3, "", "", "").Err(); err != nil {
		e.found(s, protocol, Warning, "HELLO 3: "+reason(err),
			"use PubSub, or connect to Redis 6 or newer without a proxy that lacks RESP3")
		return
	}
	e.found(s, protocol, OK, "HELLO 3 is accepted", "")
}

// sentinelFix names the masters that a Sentinel knows.
func sentinelFix(ctx context.Context, client *redis.Client) string {
	masters := "mymaster"
	if reply, err := client.Do(ctx, "sentinel", "masters").Slice(); err == nil {
		var names []string
		for _, m := range reply {
			names = append(names, nameOf(m))
		}
		masters = strings.Join(names, " or ")
	}
	return fmt.Sprintf("use redis.NewFailoverClient, and here redis://%s?master_name=%s", client.Options().Addr, masters)
}

// nameOf returns the field "name" in a reply of RESP3 or RESP2.
func nameOf(reply any) string {
	switch m := reply.(type) {
	case map[any]any:
		return fmt.Sprint(m["name"])
	case []any:
		if i := slices.Index(m, any("name")); i >= 0 && i+1 < len(m) {
			return fmt.Sprint(m[i+1])
		}
	}
	return ""
}

// major returns the first number of a version, or 0.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(first)
	return n
}

func nonEmpty(words ...string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}
