package scale_test

import (
	"fmt"
	"testing"
)

// The keys and the channel are those of caches with the default RedisOptions.Prefix.
const (
	redisPrefix    = "tc:"
	changesChannel = "tc!changes"
)

func valuePrefix(name string) string { return redisPrefix + name + ":" }

// way is how processes learn of changes.
type way struct {
	name string
	// handshake is what a process sends first, after HELLO 3. The name is that of its caches; others have another id.
	handshake func(id int, name string) []byte
	read      func(key string) []byte           // the commands that read a key so that Redis reports its next change; nil: none do
	holds     func(id, processes, key int) bool // whether a process has read the key of the number; nil: it has none
	heartbeat func(id int) []byte               // what else a process sends each second, beside a PING; nil: nothing, nor a PING
	publishes bool                              // changes must be published
	observe   func(t testing.TB, s *stage) observer
}

func processChannel(id int) string { return fmt.Sprintf("tc!process-%08d", id) }

// canaryPrefix begins the canaries of a process, which has it as one more prefix.
func canaryPrefix(id int) string { return processChannel(id) + ":" }

// canary is the canary of a heartbeat, as the library sends it: a script that reads the mark, and sets it and the canary, which are keys of
// the process.
func canary(id int) []byte {
	const script = `local mark=tonumber(redis.call('GET',KEYS[1]) or 0) or 0
if mark>tonumber(ARGV[2]) then return 0 end
redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[4])
redis.call('SET',mark<tonumber(ARGV[1]) and KEYS[3] or KEYS[2],1,'PX',ARGV[3])
return 1`
	const at = "1000000000"
	name := canaryPrefix(id) + "{0}:"
	return command("EVAL", script, "3", name+"mark", name+at, name+"lost-"+at, at, at, "1000", "3600000")
}

// mark is the key that the canary of a process changes which listens by key. The process reads it with each heartbeat, and after
// each report.
func mark(id int) string { return canaryPrefix(id) + "{0}:mark" }

func markCanary(id int) []byte {
	const script = `local mark,since=string.match(redis.call('GET',KEYS[1]) or '','^(%d+) (%d+)$')
mark=tonumber(mark) or 0
if mark>tonumber(ARGV[2]) then return 0 end
if mark<tonumber(ARGV[1]) then since=ARGV[2] end
redis.call('SET',KEYS[1],ARGV[2]..' '..(since or ARGV[2]),'PX',ARGV[3])
return 1`
	const at = "1000000000"
	return command("EVAL", script, "1", mark(id), at, at, "3600000")
}

func publishedCanary(id int) []byte { return command("PUBLISH", processChannel(id), "1000000000") }

func quiet(int, string) []byte { return nil }

// everything is how caches with Tracking listened before they had prefixes of their own.
func everything(id int, _ string) []byte {
	return command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", redisPrefix, "PREFIX", canaryPrefix(id))
}

func byName(id int, name string) []byte {
	return command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", valuePrefix(name), "PREFIX", redisPrefix+name+"!", "PREFIX", canaryPrefix(id))
}

func byKey(int, string) []byte { return command("CLIENT", "TRACKING", "ON") }

func byKeyOptIn(int, string) []byte { return command("CLIENT", "TRACKING", "ON", "OPTIN") }

func subscribed(id int, _ string) []byte {
	return command("SUBSCRIBE", changesChannel, processChannel(id))
}

// confirm reads the head of a value, which the process has read over another connection.
func confirm(key string) []byte { return command("GETRANGE", key, "0", "16") }

func get(key string) []byte { return command("GET", key) }

// cachedGet is what rueidis's DoCache sends.
func cachedGet(key string) []byte {
	all := append(command("CLIENT", "CACHING", "YES"), command("MULTI")...)
	all = append(append(all, command("PTTL", key)...), command("GET", key)...)
	return append(all, command("EXEC")...)
}

// one, sixteenth and all say which processes have a key that is written.
func one(id, processes, key int) bool { return key%processes == id }
func sixteenth(id, _, key int) bool   { return key%16 == id%16 }
func all(int, int, int) bool          { return true }

// floor is no way to learn of anything.
var floor = way{name: "none", handshake: quiet}

// ways are compared with each other. Those by key differ only where all processes have caches of one name.
var ways = []way{
	floor,
	{name: "prefix", handshake: everything, heartbeat: canary, observe: observeBare},
	{name: "name", handshake: byName, heartbeat: canary, observe: observeTracking},
	{name: "key-1", handshake: byKey, read: confirm, holds: one, heartbeat: markCanary, observe: observeTrackingKeys},
	{name: "key-16th", handshake: byKey, read: confirm, holds: sixteenth, heartbeat: markCanary, observe: observeTrackingKeys},
	{name: "key-all", handshake: byKey, read: confirm, holds: all, heartbeat: markCanary, observe: observeTrackingKeys},
	{name: "pubsub", handshake: subscribed, heartbeat: publishedCanary, publishes: true, observe: observePubSub},
	{name: "rueidis", handshake: byKeyOptIn, read: cachedGet, holds: one, observe: observeRueidis},
	{name: "go-redis", handshake: byKey, read: get, holds: one, observe: observeGoRedis},
}
