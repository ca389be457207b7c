package invalidation

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// byKey is a server that reports the changes of the keys that the process asked it about, and no others (CLIENT TRACKING without
// BCAST). So a write costs the server nothing for the processes that don't have the key, however many they are.
//
// Redis remembers a key when it is read on the stream's own connection, and reports the key's next change, once. So the process reads
// its values with the caches' client, as ever, and then asks on this connection whether the key still has the value: if so it enters
// the local tier (Feed.Ask). What is kept without such a question, the records of tags and the epoch, is asked for before it is read
// (watch). Redis's table of the keys has a limit (tracking-table-max-keys); it reports those that it forgets.
//
// There is one canary, the mark. The caches' client writes an instant into it; the stream asks for it, and again with each report of
// it. The reply proves that everything that Redis executed before this instant has been reported, since it comes from the server that
// the client wrote to, after all earlier reports. The mark also says since when there is a mark without a gap: a canary that doesn't
// find the one before it, because databases were swapped, begins another such time. A reply with another one than the last is handled
// like a flush, and so is the first on a connection. Replies prove nothing until a mark was reported on the connection: a proxy, or
// another kind of server, may accept CLIENT TRACKING and report nothing.
type byKey struct {
	tracking
	stream *stream

	mu      sync.Mutex
	watched map[string]struct{} // keys whose next change Redis reports, of those that watch was asked for

	// For the goroutine that reads the connection:
	began   mono.Instant // when the connection was made; older marks prove nothing
	since   int64        // of the last mark on this connection; 0: there was none
	reports bool         // a mark was reported on this connection
	asked   bool         // it had a mark that wasn't reported, and another canary was sent at once
}

var _ transport = (*byKey)(nil)

// maxWatched limits the keys in watched, which are forgotten together when there are more. It is that of the records of tags.
const maxWatched = 1 << 17

// newTracking makes the stream of a master that reports changes. The client is nil in a Cluster.
func newTracking(g *group, o *redis.Options, client *redis.Client, cluster *redis.ClusterClient) *stream {
	if g.mode == TrackingKeys {
		t := &byKey{tracking: tracking{group: g, options: o, client: client, cluster: cluster}}
		s := newStream(g, t, o.Addr)
		t.stream, s.Watch = s, t.watch
		return s
	}
	s := newStream(g, &tracking{group: g, options: o, client: client, cluster: cluster}, o.Addr)
	s.SetReported(coherence.Names{})
	return s
}

// handshake has Redis report what is asked on this connection.
func (t *byKey) handshake(ctx context.Context, cn *redis.Conn, _ []string) error {
	t.since, t.began, t.reports, t.asked = 0, mono.Now(), false, false
	return t.track(ctx, cn, &redis.ClientTrackingOptions{})
}

// markScript sets the mark KEYS[1] to the canary ARGV[2], and to the time of Redis since when there is a mark without a gap: now, if the
// mark is older than ARGV[1], that of the canary before. A canary that comes after a newer one does nothing, nor does one that the client
// sends once more in the database that has taken it; in another one it begins another time.
const markScript = `local mark,since=string.match(redis.call('GET',KEYS[1]) or '','^(%d+) (%d+)$')
mark=tonumber(mark) or 0
if mark>=tonumber(ARGV[2]) then return 0 end
if mark<tonumber(ARGV[1]) then
local t=redis.call('TIME')
since=string.format('%d%06d',t[1],t[2]) end
redis.call('SET',KEYS[1],ARGV[2]..' '..since,'PX',ARGV[3])
return 1`

// markLength is that of the longest mark.
const markLength = 2*19 + 1

// sendCanary writes the mark, and asks for it.
func (t *byKey) sendCanary(ctx context.Context, at mono.Instant) error {
	client, name, err := t.canaryKey(ctx)
	if err != nil {
		return err
	}
	expected := t.markedAt.Load()
	if expected == 0 {
		expected = int64(at) // no mark is as new
	}
	t.askMark(name + markName)
	err = withTimeout(client, t.group.Timeout).Eval(ctx, markScript, []string{name + markName}, expected, int64(at), t.markLife().Milliseconds()).Err()
	switch {
	case err == nil:
		t.noteMark(int64(at))
	case redisconn.IsMoved(err):
		t.nextTag() // its slot leaves the node
	}
	return err
}

// askMark asks for the mark. The next canary asks again, so it doesn't matter if that isn't possible.
func (t *byKey) askMark(key string) {
	t.stream.ask(key, markLength, func(mark string, err error) {
		if err == nil {
			t.handleMark(mark)
		}
	})
}

// handleMark takes the mark.
func (t *byKey) handleMark(mark string) {
	canary, begin, _ := strings.Cut(mark, " ")
	at, err := strconv.ParseInt(canary, 10, 64)
	if err != nil || mono.Instant(at) < t.began || at <= t.reported || mono.Instant(at) > t.stream.canary.last() {
		return
	}
	if !t.reports {
		if !t.asked { // the mark may have been written just before it was asked for; the next one is reported
			t.asked = true
			t.stream.sendCanarySoon()
		}
		return
	}
	t.reported = at
	t.noteMark(at)
	if since, err := strconv.ParseInt(begin, 10, 64); err != nil || since != t.since {
		t.since = since
		t.flushed()
	}
	t.stream.canaryReported(mono.Instant(at))
}

// handle takes an invalidation: its name, and a list of keys or, for a flush, nil.
func (t *byKey) handle(_ *stream, message any) {
	parts, _ := message.([]any)
	if len(parts) < 2 {
		return // of another kind
	}
	if parts[1] == nil {
		t.flushed()
		return
	}
	keys, _ := parts[1].([]any)
	for _, k := range keys {
		key, _ := k.(string)
		if strings.HasPrefix(key, t.group.canaryPrefix()) {
			t.reports = true
			t.askMark(key)
			continue
		}
		t.unwatch(key) // before a cache hears of it, and asks again
		t.group.hooks.Changed(key)
	}
}

// disconnected forgets what Redis forgets with the connection.
func (t *byKey) disconnected() { t.unwatchAll() }

// flushed handles a flush, with which Redis also forgets which keys were asked for.
func (t *byKey) flushed() {
	t.unwatchAll()
	t.stream.flushed()
}

// watch makes Redis report the next change of the keys. It reports whether Redis has confirmed that before ctx ended.
//
// The caller takes the validity, and notes which changes it has heard of, before it calls watch, and reads the keys after it: a change
// before the reading ends one of both, and a later one is reported.
func (t *byKey) watch(ctx context.Context, keys []string) bool {
	missing := t.unwatched(keys)
	if len(missing) == 0 {
		return true
	}
	done := make(chan bool, len(missing))
	for _, key := range missing {
		asked := t.stream.ask(key, 1, func(_ string, err error) {
			if err == nil {
				t.noteWatched(key)
			}
			done <- err == nil
		})
		if !asked {
			return false
		}
	}
	for range missing {
		select {
		case ok := <-done:
			if !ok {
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// unwatched returns those of the keys whose next change may not be reported.
func (t *byKey) unwatched(keys []string) (missing []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		if _, ok := t.watched[key]; !ok {
			missing = append(missing, strings.Clone(key))
		}
	}
	return missing
}

func (t *byKey) noteWatched(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.watched) >= maxWatched {
		t.watched = nil
	}
	if t.watched == nil {
		t.watched = make(map[string]struct{})
	}
	t.watched[key] = struct{}{}
}

func (t *byKey) unwatch(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.watched, key)
}

func (t *byKey) unwatchAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched = nil
}
