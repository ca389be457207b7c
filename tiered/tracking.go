package tiered

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var errNoSlots = errors.New("the node has no slots")

// tracker is a server that reports the changes of keys itself (CLIENT TRACKING).
type tracker struct {
	redis   *Redis
	options *redis.Options
	client  *redis.Client // nil in a Cluster

	cluster *redis.ClusterClient
	tag     uint64 // in a Cluster makes canaries' keys the server's; for sing alone, which runs once at a time
}

// canaries is what begins the names of this Redis object's canaries.
func (r *Redis) canaries() string { return r.side() + r.streams.id + ":" }

func (t *tracker) server(context.Context) (*redis.Options, error) { return t.options, nil }

// greet has Redis report all changes under two prefixes. It asks for RESP3 once more, since go-redis goes on with RESP2
// if that is refused: then tracking is granted, and nothing ever arrives.
func (t *tracker) greet(ctx context.Context, cn *redis.Conn) error {
	if err := cn.Hello(ctx, 3, "", "", "").Err(); err != nil {
		return judge(stepHello, err)
	}
	err := cn.ClientTrackingOn(ctx, &redis.ClientTrackingOptions{
		Bcast:    true,
		Prefixes: []string{t.redis.prefix, t.redis.canaries()},
	}).Err()
	if err != nil {
		return judge(stepTracking, err)
	}
	return nil
}

// channels has one on which nothing is published: to who subscribes Redis allows less of a backlog than to others, whom it
// serves until its memory is full.
func (t *tracker) channels() []string { return []string{t.redis.side() + t.redis.streams.id} }

// sing sets a key that nobody reads. It is reported as set however soon it expires.
func (t *tracker) sing(ctx context.Context, at instant) error {
	client, name, err := t.perch(ctx)
	if err != nil {
		return err
	}
	key := name + strconv.FormatInt(int64(at), 10)
	err = briefly(client, t.redis.timeout).Set(ctx, key, 1, max(t.redis.options.Heartbeat, time.Millisecond)).Err()
	if moved(err) {
		t.tag++ // its slot leaves the node
	}
	return err
}

// perch returns the client that the caches use for the server, and what begins the name of a key that is the server's. In
// a Cluster it isn't left to the client to follow a key that is elsewhere: there the stream wouldn't hear of it.
func (t *tracker) perch(ctx context.Context) (client *redis.Client, name string, err error) {
	if t.client != nil {
		return t.client, t.redis.canaries(), nil
	}
	const tries = 1 << 17 // a node may have one slot only, of 16384
	for range tries {
		name := t.redis.canaries() + "{" + strconv.FormatUint(t.tag, 36) + "}:"
		node, err := t.cluster.MasterForKey(ctx, name)
		if err != nil {
			return nil, "", err
		}
		if node.Options().Addr == t.options.Addr {
			return node, name, nil
		}
		t.tag++
	}
	return nil, "", errNoSlots
}

// briefly is the client with a timeout that may be shorter than its own, which it heeds whatever the context says.
func briefly(client *redis.Client, timeout time.Duration) *redis.Client {
	if d := client.Options().ReadTimeout; d > 0 {
		timeout = min(timeout, d)
	}
	return client.WithTimeout(timeout)
}

// hear takes an invalidation: its name, and a list of keys or, for a flush, nil.
func (t *tracker) hear(s *stream, message any) {
	parts, _ := message.([]any)
	if len(parts) < 2 {
		return
	}
	keys, some := parts[1].([]any)
	if !some {
		s.flushed()
		return
	}
	for _, k := range keys {
		key, _ := k.(string)
		if canary, ok := strings.CutPrefix(key, t.redis.canaries()); ok {
			at, err := strconv.ParseInt(canary[strings.LastIndexByte(canary, ':')+1:], 10, 64)
			if err == nil {
				s.reported(instant(at))
			}
			continue
		}
		t.redis.heard(key)
	}
}
