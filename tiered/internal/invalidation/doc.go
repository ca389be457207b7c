// Package invalidation receives what other processes change in Redis, and makes sure that it misses nothing.
//
// [Streams] are those of one Redis. Each master has a stream; the topology of a Cluster starts and ends them as masters come
// and go. A stream has one connection at a time, and reads from it what its transport subscribed to:
//
//   - tracking: the server itself reports every change of a key under the prefix (CLIENT TRACKING in broadcast mode).
//   - pubsub: the processes publish what they change. All of it goes through one channel.
//
// With [None] nothing is reported, and values are read again after Heartbeat + Timeout.
//
// A stream's [coherence.Feed] is what values in the local tier depend on. The watchdog gives up connections that are dead or
// were left behind on another server. The status of a stream is what Redis.Status and the log say.
//
// # The files, from the bottom up
//
//   - group.go: the modes, the hooks, and the group, which has what the streams of one Redis have in common.
//   - watchdog.go: whether a connection is still good.
//   - stream.go, connection.go, canary.go, status.go: a stream and its parts, which use each other.
//   - tracking.go, pubsub.go: the transports.
//   - topology.go: the masters of a Cluster, and their streams.
//   - streams.go: all streams of one Redis.
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
// So what was read through the stream's server after tracking was on, and hasn't been invalidated by the time of the report,
// was current at t0: the validity of such reads is extended to t0 + Heartbeat + Timeout. When Redis or the network stalls, the
// validity runs out, and the next canary that comes back on the same connection extends it again. The end of the connection
// ends it for good.
//
// # Invariants
//
//   - A flush installs the new validity before it ends the old one.
//   - A canary is sent by the client that the caches write with, and names t0, the instant before it was sent.
//   - Only the goroutine that reads the connection extends, replaces or ends the validity of its feed.
package invalidation
