package connect

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Hello is a server's reply to HELLO. Fields that the server doesn't send are zero.
type Hello struct {
	Server  string // "redis"
	Version string
	Proto   int64  // 2 or 3
	Mode    string // "standalone", "sentinel" or "cluster"
	Role    string // "master" or "replica"
	Refused error  // the server doesn't know HELLO: it is older than Redis 6, or something in between
}

// SayHello asks the server who it is. The error says that it doesn't answer, or doesn't let the user in.
func SayHello(ctx context.Context, client redis.UniversalClient) (h Hello, err error) {
	if err := client.Ping(ctx).Err(); err != nil && !isRefusal(err) { // it needs a right that the user may lack
		return h, err
	}
	reply, err := client.Do(ctx, "hello").Result()
	if err != nil {
		if !isRefusal(err) {
			return h, err
		}
		h.Refused = err
		return h, nil
	}
	fields := make(map[string]any)
	switch reply := reply.(type) {
	case map[any]any:
		for k, v := range reply {
			fields[fmt.Sprint(k)] = v
		}
	case []any: // RESP2
		for i := 0; i+1 < len(reply); i += 2 {
			fields[fmt.Sprint(reply[i])] = reply[i+1]
		}
	}
	text := func(name string) string { s, _ := fields[name].(string); return s }
	h = Hello{Server: text("server"), Version: text("version"), Mode: text("mode"), Role: text("role")}
	h.Proto, _ = fields["proto"].(int64)
	return h, nil
}

// isRefusal reports whether the server answered that it doesn't know the command, or that this user may not use it.
func isRefusal(err error) bool {
	for _, prefix := range []string{"NOPERM ", "unknown command", "unknown subcommand"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// Info returns the fields of INFO; none if the user may not read them.
func Info(ctx context.Context, client redis.Cmdable) map[string]string {
	fields := make(map[string]string)
	text, _ := client.Info(ctx).Result()
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}
