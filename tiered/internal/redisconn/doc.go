// Package redisconn sends the requests of caches to the servers of one Redis: a single server, one behind Sentinel,
// or a Cluster. It bounds the time of each call whatever go-redis does, doesn't ask servers that don't answer, lets
// the reads of many callers share a command, and returns with each reply the validity of what was read.
//
// It knows nothing of values, leases and tags: packages remote and tags make the commands and read the replies. It
// receives no invalidations: package invalidation does, and extends the validity in the [coherence.Feed] of each
// server. It queues no writes. It sends a key's command again only if the server refuses MGET, if another node of a
// Cluster may carry it out, or if a chunk of values was late. Other failures are left to the caller.
//
// # Types
//
//   - [Conn] has all the parts below. Before it is used, package invalidation sets its Context, the servers in its
//     Nodes, its Capabilities.InvalidationCommands and, with PubSub, its Publish.
//   - [Caller] calls the client. Its Calls, a [Lifecycle], counts the goroutines that do.
//   - [Nodes] are the servers, each a [Node]: the [coherence.Feed] of the server's invalidations, and its [Breaker],
//     which keeps calls from a server that doesn't answer. Calls read a Breaker without a lock; it has one for its
//     changes.
//   - [Request] is one command for each of some keys, [Reply] the result of one. [CompareAndSet] is a write that is
//     made only if the key still holds what was [Expected]. [Window] sends the writes of a batch while the batch is
//     still being made.
//   - [Read] is a read that may share a command with reads of other callers, [Pending] one key of it, [Session] the
//     reads of one cache. Each server has a batcher. Its lock guards a queue of Reads, and the batches of up to four
//     senders. A sender is a goroutine; two timers of the batcher have others.
//   - A [Trace] is told of the calls of one cache, and of its Reads.
//   - A [PermanentError] doesn't end by itself.
//   - Conn.Time is Redis's clock, sampled once a minute.
//   - Conn.Capabilities has what the servers lack, Conn.Refusals what they refuse at present, each under a lock of
//     its own. A [LogThrottle] keeps these, and breakers, from filling the log.
//
// # The files, from the bottom up
//
//   - lifecycle.go, throttle.go, deferred.go, slowkeys.go: tools that know nothing of Redis.
//   - class.go, errors.go, client.go: what an error means for its server, the errors of this package, and which clients it accepts.
//   - caller.go, panics.go, call.go: one call of the client.
//   - breaker.go, node.go, target.go, largecall.go: the servers, whether each is asked, which has a key, and a call of one.
//   - request.go, trace.go, cas.go, hold.go, refusals.go, check.go, capabilities.go: requests and replies, and what these say
//     about a server.
//   - requester.go, chunk.go, do.go, window.go: a request. clock.go asks for the time, scan.go lists keys.
//   - read.go, batcher.go and sender.go, which use each other, reader.go: a read.
//   - conn.go: all of these together.
//
// # A request
//
// Do groups the keys by their server (target.go). Where a breaker is open, the server's keys fail at once. All other
// servers are asked at the same time, each in chunks of limited size, of which two are under way (chunk.go). A chunk
// is one call, in another goroutine (call.go), and one command, one pipeline or one MGET (requester.go). A call
// is waited for until Timeout is over. One for several keys, or for a large value, is waited for longer
// (largecall.go): while the server answers a probe beside it, or other calls, up to eight Timeouts. A probe is a GET
// of a key that isn't there.
//
// The breaker, the capabilities and the refusals take the result. A chunk that was late makes the next ones smaller,
// and if its replies were to be values, they are read again in such chunks. Replies that arrived stay, whatever
// happens to the rest.
//
// A GET of one key may set a value if there is none, by a command that not every server has (GetOrSet). If the server refuses it, the
// call goes on with a plain GET, which is all that later calls send if the server doesn't know that command, or while it refuses
// anything.
//
// go-redis goes on with a call that nobody waits for any more, and Redis may execute it. Request.Ended is called when
// the last such call of the request has returned. If a node of a Cluster replies that it hasn't the key any more, the
// client finds the node that has.
//
// # A read
//
// Read and ReadAll (reader.go) put the keys into the queue of their server's batcher (batcher.go). While few reads
// are under way, a sender (sender.go) takes each at once. Under load the queue fills until a sender is back, which
// then reads up to MaxBatch keys with one MGET. The sender gives each Read its replies, and its caller returns from
// Pending.Wait. Keys that made others wait are read alone for a while (slowkeys.go), each by a sender of its own.
// There is no Read where a breaker is open, where the nodes of a Cluster aren't known yet, and for several keys of
// which one is to be read alone. The caller uses Do for these.
//
// A Read ends once: by its replies, by the end of its caller's context, by the end of its cache or Conn, or by its
// Timeout. The last is the work of the batcher's sweep: it ends the reads that are late, reports the batch to the
// breaker, and abandons the sender, so that another can take its place. Replies that come later go to nobody.
//
// # A breaker
//
// A call that a server doesn't answer is followed by a probe. After three such calls in a row, and a probe that
// wasn't answered either, the breaker opens. An error reply such as LOADING counts as such a call, and needs no
// probe. The breaker also opens if a canary of package invalidation isn't answered. Then calls fail at once,
// Feed.Unreachable lets the local tier serve values whose validity has run out, and the log says "Redis doesn't
// answer, and isn't asked". Canaries are still sent, or, where the server has none of its own, probes (probeLoop).
// The first that is answered closes the breaker, and the log says "Redis is asked again". The breaker of a server
// that left the Cluster is retired: it stays closed, and the batcher of the server ends.
//
// # The clock, and the checks
//
// Values are stored with Redis's time. The clock (clock.go) asks for it in the background, once a minute while Redis
// answers; only a caller that comes before the first sample waits. Between samples the monotonic clock of this
// process goes on from the last.
//
// What a server lacks is found in two ways: it is asked for every command (check.go), and it refuses one of a cache's
// own. The check is made by NewRedis, and then now and then when a server has answered (capabilities.go). What it
// refuses though it has the command and the right, because its memory is full, say, is a refusal (refusals.go). Both
// are in Status and the log, and have no effect on requests, but that a server which is known to be a replica gets no
// canaries.
//
// # Why it is so
//
// A call needs a goroutine that can be left behind, since go-redis ends it neither with its context nor when Timeout
// is over, unless the client's ContextTimeoutEnabled is set. A GET takes a connection of the pool, three or four
// system calls and seven allocations, so reads share commands. go-redis's AutoPipeline costs a single caller 1.7
// times a plain GET, sends one command for each key, and ends no call with its context either. No request of a cache
// is sent to find out whether a server is back: the canaries show that sooner, and no caller has to wait for it.
//
// The parts are built so that each uses only those below it. When all of them used Conn, 19 files used each other.
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
