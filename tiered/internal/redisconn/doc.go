// Package redisconn sends the requests of caches to the servers of one Redis: a single server, one behind Sentinel, or a
// Cluster.
//
//   - [Conn] has the servers. Its [Nodes] are each a [Node]: the [coherence.Feed] of the server's invalidations, and its
//     [Breaker], which keeps calls from a server that doesn't answer. Its [Caller] calls the client.
//   - [Request] is one command for each of some keys, [Reply] the result of one. [CompareAndSet] is a write that is made only
//     if the key still holds what was [Expected].
//   - [Read] is a read that may share a command with reads of other callers, [Pending] one key of it, [Session] the reads of
//     one cache.
//   - A [PermanentError] doesn't end by itself.
//   - Conn.Time is Redis's clock, sampled once a minute.
//   - Conn.Capabilities has what the servers lack, Conn.Refusals what they refuse at present. A [LogThrottle] keeps these, and
//     breakers, from filling the log.
//
// # The files, from the bottom up
//
//   - lifecycle.go, throttle.go, deferred.go, slowkeys.go: tools that know nothing of Redis.
//   - class.go, errors.go, client.go: what an error means for its server, the errors of this package, and which clients it accepts.
//   - caller.go, panics.go, call.go: one call of the client.
//   - breaker.go, node.go, target.go, largecall.go: the servers, whether each is asked, which has a key, and a call of one.
//   - request.go, cas.go, refusals.go, check.go, capabilities.go: requests and replies, and what these say about a server.
//   - requester.go, chunk.go, do.go, window.go: a request. clock.go asks for the time.
//   - read.go, batcher.go and sender.go, which use each other, reader.go: a read.
//   - conn.go: all of these together.
//
// # A request
//
// Do groups the keys by their server (target.go), skips servers whose breaker is open, and sends the keys of each server in chunks
// of limited size (chunk.go). Each chunk is one call (call.go), which ends after Timeout whatever go-redis does, or later while the
// server answers other calls (largecall.go). It is one command, one pipeline or one MGET (requester.go). The breaker, the
// capabilities and the refusals take the result. If a node of a Cluster replies that it hasn't the key any more, the client
// finds the node that has.
//
// # A read
//
// Read and ReadAll (reader.go) put the keys into the queue of their server's batcher (batcher.go). While few reads are under way, a
// sender (sender.go) takes each at once. Under load the queue fills until a sender is back, which then reads up to MaxBatch keys
// with one MGET. Keys that made others wait are read alone for a while (slowkeys.go). A read whose Timeout is over is ended by
// the batcher's sweep; nobody waits for its sender.
//
// # Invariants
//
//   - The Validity in a Reply was taken before the command was sent, and belongs to the stream of the server that answered. A value
//     that the client read elsewhere has [coherence.Never].
//   - A write may be executed after its call returned. Request.Ended is called when no more of it can reach Redis.
//   - A breaker opens only if the server answers nothing: one slow value doesn't open it, since a probe is sent first.
//   - A result says something about the server only if its call began after the last call that was answered.
//   - Code of the user that the client calls (hooks, dialers) may panic or exit its goroutine; it ends the call, and nothing
//     else.
//   - Every goroutine that may outlive the call that started it is counted by Conn.Calls.
//   - Logger and BreakerChanged are called without a lock.
package redisconn
