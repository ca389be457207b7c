package invalidation

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// tracking is a server that reports the changes of keys itself (CLIENT TRACKING).
//
// In broadcast mode a connection gets every change under its prefixes, whichever client made it, those of this
// process included, and whichever keys were read. The prefixes are those of the caches' names, see names.go, so that other
// services of the Redis aren't heard, and one for the canaries of this process. A report has the names of keys alone. A flush is
// reported as one, without keys.
//
// A canary is a key that expires after a heartbeat. In a Cluster it must be in a slot of the stream's server: the
// hash tag in its name is counted up until the client finds that server for it (canaryKey), and further when the slot
// moves away. Should the server have no slots at all, that is no error of the server (ErrNoSlots).
//
// A canary alone wouldn't show that databases were swapped (SWAPDB), which Redis doesn't report. So each reads back
// the mark that the one before it left, in the same script, and a canary that doesn't find it has another name. The
// stream then handles it like a flush. The first canary on a connection has none before it: what was read since tracking was on may be
// of a database that was swapped before that canary, which therefore counts as one that found no mark.
type tracking struct {
	group   *group
	options *redis.Options
	client  *redis.Client // nil in a Cluster

	cluster *redis.ClusterClient
	tag     uint64 // in a Cluster makes canaries' keys the server's; for sendCanary alone, which runs once at a time

	markedAt atomic.Int64 // the newest canary that Redis is known to have taken, whose mark the database then has; 0: none
	reported int64        // the newest that was reported; for handle
	lost     int64        // the newest that was reported to have found no mark; for handle
}

var _ transport = (*tracking)(nil)

func (t *tracking) serverOptions(context.Context) (*redis.Options, error) { return t.options, nil }

// handshake has Redis report all changes under the prefixes of the names, and the canaries of this process.
func (t *tracking) handshake(ctx context.Context, cn *redis.Conn, names []string) error {
	return t.track(ctx, cn, &redis.ClientTrackingOptions{
		Bcast:    true,
		Prefixes: append(t.prefixes(names), t.group.canaryPrefix()),
	})
}

// track turns tracking on. It asks for RESP3 once more, since go-redis goes on with RESP2 if that is refused: then tracking is granted, and
// nothing ever arrives.
func (t *tracking) track(ctx context.Context, cn *redis.Conn, o *redis.ClientTrackingOptions) error {
	t.markedAt.Store(0) // nothing that was read before is served any more
	if err := cn.Hello(ctx, 3, "", "", "").Err(); err != nil {
		return redisconn.StepError(redisconn.StepHello, err)
	}
	if err := cn.ClientTrackingOn(ctx, o).Err(); err != nil {
		return redisconn.StepError(redisconn.StepTracking, err)
	}
	return nil
}

// follow makes Redis report more prefixes. A prefix that the connection has already would be an error.
func (t *tracking) follow(names []string) []byte {
	words := []string{"CLIENT", "TRACKING", "ON", "BCAST"}
	for _, prefix := range t.prefixes(names) {
		words = append(words, "PREFIX", prefix)
	}
	return appendCommand(nil, words...)
}

// prefixes returns what begins the keys of the names' caches. None begins with another one, which Redis would refuse.
func (t *tracking) prefixes(names []string) (all []string) {
	for _, name := range names {
		of := wire.Prefixes(t.group.Prefix, name)
		all = append(all, of[:]...)
	}
	return all
}

// channels has one on which nothing is published: Redis allows a subscriber less of a backlog than other clients, which it
// serves until its memory is full.
func (t *tracking) channels() []string { return []string{t.group.ControlPrefix() + t.group.ID} }

func (t *tracking) disconnected() {}

// The mark is a key with the instant of the newest canary. Redis reports no change when it swaps databases (SWAPDB), but a
// database that was another one at the time of that canary has an older mark, or none.
const (
	markName = "mark"
	// minMarkLife is long, so that an eviction by what is left of it (volatile-ttl) doesn't begin with the mark.
	minMarkLife = time.Hour
	lostName    = "lost-"
)

// canaryScript sets the canary ARGV[2] and the mark KEYS[1]. The canary's key is KEYS[2], which is reported as set however soon
// it expires, or KEYS[3] where the mark is older than ARGV[1], that of the canary before. The report itself says so, so that no
// validity can be extended without it. A canary that comes after a newer one does nothing, nor does one that the client sends once more,
// because it had no answer, in the database that has taken it.
const canaryScript = `local mark=tonumber(redis.call('GET',KEYS[1]) or 0) or 0
if mark>=tonumber(ARGV[2]) then return 0 end
redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[4])
redis.call('SET',mark<tonumber(ARGV[1]) and KEYS[3] or KEYS[2],1,'PX',ARGV[3])
return 1`

// sendCanary sets a key that isn't read by any process.
func (t *tracking) sendCanary(ctx context.Context, at mono.Instant) error {
	client, name, err := t.canaryKey(ctx)
	if err != nil {
		return err
	}
	canary := strconv.FormatInt(int64(at), 10)
	expected := t.markedAt.Load()
	if expected == 0 {
		expected = int64(at) // no mark is as new
	}
	life := max(t.group.Heartbeat, time.Millisecond)
	err = withTimeout(client, t.group.Timeout).Eval(ctx, canaryScript, []string{name + markName, name + canary, name + lostName + canary},
		expected, canary, life.Milliseconds(), t.markLife().Milliseconds()).Err()
	switch {
	case err == nil:
		t.noteMark(int64(at))
	case redisconn.IsMoved(err):
		t.nextTag() // its slot leaves the node
	}
	return err
}

// markLife is how long Redis keeps the mark.
func (t *tracking) markLife() time.Duration { return max(minMarkLife, 10*t.group.Heartbeat) }

// noteMark notes that Redis has taken a canary. Both its answer and its report say so, whichever comes first.
func (t *tracking) noteMark(at int64) {
	for {
		newest := t.markedAt.Load()
		if at <= newest || t.markedAt.CompareAndSwap(newest, at) {
			return
		}
	}
}

// nextTag gives the canaries and the mark other keys.
func (t *tracking) nextTag() {
	t.tag++
	t.markedAt.Store(0)
}

// canaryKey returns the client that the caches use for the server, and what begins the name of a key that is the server's. In
// a Cluster the client must not follow a redirection to another node, whose reports this stream doesn't receive.
func (t *tracking) canaryKey(ctx context.Context) (client *redis.Client, name string, err error) {
	if t.client != nil {
		return t.client, t.group.canaryPrefix() + "{0}:", nil // in one slot, should the server have them
	}
	const tries = 1 << 17 // a node may have one slot only, of 16384
	for range tries {
		name := t.group.canaryPrefix() + "{" + strconv.FormatUint(t.tag, 36) + "}:"
		node, err := t.cluster.MasterForKey(ctx, name)
		if err != nil {
			return nil, "", err
		}
		if node.Options().Addr == t.options.Addr {
			return node, name, nil
		}
		t.nextTag()
	}
	return nil, "", redisconn.ErrNoSlots
}

// withTimeout returns the client with a ReadTimeout that is no longer than the given one: go-redis may ignore the context's.
func withTimeout(client *redis.Client, timeout time.Duration) *redis.Client {
	if d := client.Options().ReadTimeout; d > 0 {
		timeout = min(timeout, d)
	}
	return client.WithTimeout(timeout)
}

// handle takes an invalidation: its name, and a list of keys or, for a flush, nil.
func (t *tracking) handle(s *stream, message any) {
	parts, _ := message.([]any)
	if len(parts) < 2 {
		return
	}
	keys, some := parts[1].([]any)
	if !some {
		s.flushed() // of whichever database: the mark may still be there, and is looked for
		return
	}
	for _, k := range keys {
		key, _ := k.(string)
		if canary, ok := strings.CutPrefix(key, t.group.canaryPrefix()); ok {
			t.handleCanary(s, canary[strings.LastIndexByte(canary, ':')+1:])
			continue
		}
		t.group.hooks.Changed(key)
	}
}

// handleCanary takes a canary, which is reported when it is set and when it expires. The first that finds another database than
// the one before it invalidates all keys.
func (t *tracking) handleCanary(s *stream, name string) {
	number, lost := strings.CutPrefix(name, lostName)
	at, err := strconv.ParseInt(number, 10, 64)
	if err != nil || mono.Instant(at) > s.canary.last() {
		return // it is the mark, or none of ours
	}
	if at > t.reported {
		t.reported = at
		t.noteMark(at)
	}
	if lost && at > t.lost { // the client may have sent it twice, and one database had the mark
		t.lost = at
		s.flushed()
	}
	s.canaryReported(mono.Instant(at))
}
