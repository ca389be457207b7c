// Package invalidation receives what other processes change in Redis, and makes sure that it misses nothing.
//
// [Streams] are those of one Redis. Each master has a stream; the topology of a Cluster starts and ends them as masters come
// and go. A stream has one connection at a time, and reads from it what its transport subscribed to:
//
//   - tracking: the server itself reports every change of a key of the caches that the process has (CLIENT TRACKING in
//     broadcast mode). What others keep in the same Redis isn't reported.
//   - byKey: the server reports the keys that the process has asked it about, and no others (CLIENT TRACKING without BCAST).
//   - pubsub: the processes publish what they change. All of it goes through one channel.
//
// With [None] nothing is reported.
//
// A stream's [coherence.Feed] is what values in the local tier depend on. The watchdog gives up connections that are dead or
// were left behind on another server. The status of a stream is what Redis.Status and the log say.
//
// This package doesn't know what a changed key is: the [Registry] gives it to the caches of its name. What was
// invalidated by tag, or with the whole cache, is in package tags; in Redis these are keys, whose changes are
// reported like all others. The requests and the breakers are those of package redisconn, whose Conn all streams
// share.
//
// # The files, from the bottom up
//
//   - group.go: the modes, the hooks, and the group, which has what the streams of one Redis have in common.
//   - names.go: the caches whose changes a connection reports.
//   - signal.go: wakes goroutines.
//   - replies.go: what a connection was asked, and the replies that it still has to receive.
//   - watchdog.go: whether a connection is still good.
//   - stream.go, connection.go, canary.go, status.go: a stream and its parts, which use each other.
//   - tracking.go, pubsub.go, and bykey.go over tracking.go: the transports.
//   - topology.go: the masters of a Cluster, and their streams.
//   - streams.go, proof.go: all streams of one Redis, and what is known of each.
//   - registry.go: the caches that get the events.
//
// # Why a stream can be relied on
//
// With each heartbeat the client that the caches use writes a canary: a key, or a message, named after the instant t0 at which
// it was sent. The stream must report it. Then everything that Redis executed before t0 has been reported:
//
//   - Redis sends the invalidations of one turn of its event loop when the turn ends. The canary is sent at t0 on a connection
//     that has nothing else under way, so the turn that executes it began after t0. What was executed in an earlier turn was
//     sent before the canary's report, and one connection keeps the order. What was executed in the same turn was executed
//     after t0.
//   - Nothing else reports this canary. Its name is random and contains t0, so its expiry, or the late report of an older
//     canary, names the older instant.
//   - The server that reports it is the one that takes the caches' writes, or follows that one in order. A connection that was
//     left behind on another server doesn't report it.
//
// So what was read through the stream's server after tracking of its cache was on, and hasn't been invalidated by the time of the report,
// was current at t0: the validity of such reads is extended to t0 + Heartbeat + Timeout. When Redis or the network stalls, the
// validity runs out, and the next canary that comes back on the same connection extends it again. The end of the connection
// ends it for good.
//
// # The life of a stream
//
// A stream has two goroutines. One makes a connection, reads it to its end, and makes the next (connectLoop). The
// other sends a canary and a PING with each heartbeat, and whenever it is woken (heartbeatLoop). Each canary is
// waited for in one more.
//
//   - It connects: handshake, which has the names of the caches there are, then subscriptions. Until these are confirmed, what
//     is read from the server is never valid.
//   - It is established: it installs a new validity, which doesn't hold yet, calls Interrupted, and has a canary sent
//     at once.
//   - It is up when the canary was reported and a PING answered. The outcome is then known to Start.
//   - When a cache is opened, its name is added to what the connection reports (names.go). Until Redis has confirmed that, what is
//     read for this cache is never valid. The validity of the others goes on.
//   - Each further canary that is reported extends the validity. If none is, the validity runs out, and the stream is
//     down, though the connection is still there.
//   - It breaks when the connection fails or the watchdog gives it up. The validity ends, Interrupted is called, the
//     log has the cause, and a canary is sent at once. If Redis doesn't answer it, the server's breaker opens.
//   - It connects again: at once after an established connection or a first failure, then after up to 20 ms, 40 ms
//     and so on, to the shorter of a heartbeat and a second. If Redis refuses what the stream needs, it waits for up
//     to ten of these.
//
// # Questions
//
// A cache may ask a stream for the beginning of a key's value (Feed.Ask): whether the key still has what the process has just stored,
// say. The heartbeat loop sends the question over the stream's own connection, and the goroutine that reads this gives the reply to the
// cache, in order with the reports of changes. A connection that ends fails all questions.
//
// # By key
//
// With TrackingKeys Redis reports a key's next change to those who have asked for it since its last one. So the question above is also
// what makes Redis report, and no value stays in a local tier without one. The records of tags, the epoch and the count are asked for
// before they are read (Feed.Watch). The canary is a key like any other, the mark, for whose value the stream asks: see bykey.go.
//
// # A Cluster
//
// With tracking each master has a stream, since each reports its own keys alone. The topology, a goroutine of its
// own, has the client list the masters every five heartbeats, and soon after a stream ended, a canary was redirected,
// or a key led to an address that isn't known. A new master gets a stream and a Node. That of a server that isn't a
// master any more is stopped, and its breaker retired, see package redisconn. What is read from an address that isn't
// known is never valid.
//
// # PubSub and None
//
// PubSub is for servers without tracking. The messages of all caches are on one channel, which a process receives whichever it
// has. A cache publishes what it changed, so changes of other programs, evictions and flushes aren't reported. There is one
// stream, also in a Cluster: all messages go through the node of the channel's name, since only one node keeps their order, on
// which the canaries rely. A process skips its own messages, unless several of its caches have the key.
//
// With None there is one stream too, which isn't started: no goroutine, no connection, no canary. Its validity is
// [coherence.Always], and its Feed has NoEvents. So package tags reads its keys again after Heartbeat + Timeout,
// those that wait for a lease poll, and breakers send probes of their own.
//
// # Hooks, goroutines and locks
//
//   - Changed, Shared, Interrupted and Reported are called by the goroutine that reads a connection. In a Cluster there are
//     several. They must be short: what comes next on the connection waits, canaries included.
//   - Answered is called by the goroutine of a canary, and Names by that of the heartbeats, or as a connection is made.
//   - BreakerChanged of the Registry is called by package redisconn, in the goroutine that noticed: of a call, a
//     probe, a canary, a stream or the topology.
//   - The log and the hooks are called without a lock.
//
// # Invariants
//
//   - A flush installs the new validity before it ends the old one.
//   - A canary is sent by the client that the caches write with, and names t0, the instant before it was sent.
//   - A reply goes to the question that was sent first. Only the heartbeat loop writes to an established connection.
//   - By key, a key stops being watched before its change is handled, and before a flush replaces the validity.
//   - Only the goroutine that reads the connection extends, replaces or ends the validity of its feed, or changes its names.
//   - A cache is in the Registry before its name is asked for, and its name is in the feed only after Redis has confirmed it.
package invalidation
