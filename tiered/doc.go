// Package tiered is a cache in two tiers: the process's own memory first, Redis second.
//
// A [Cache] of T is made with New and [Options]; a [Redis] is made once per process with NewRedis and [RedisOptions]
// and shared by all caches. A [Policy] says how long values are kept; With makes a view of a cache under another
// policy. A [Loader] gets a value from the source. An [Entry] is a value with its age, [Tier] and [State]; [Stats]
// counts what happened. Absence is the error [ErrNotFound].
//
// A read, from top to bottom (load.go and job.go, and many.go for many keys):
//
//  1. Local tier: a fresh record is returned, if it is proved that no change of it can have gone unheard; as the [Policy] says,
//     one that is due or stale too, and a flight then renews it behind.
//  2. Flight: one per key and process; whoever asks meanwhile waits for it, each on its own context.
//     The caller that begins it has a lookup at the tiers itself, and a job only if there is more to do.
//  3. Redis: a fresh frame is decoded, put into the local tier and returned. An error of Redis is a miss; where it can't be
//     read at all, what the local tier has will do. One that doesn't answer isn't asked again until it does.
//  4. Lease: who first finds nothing puts one in the key's place. The others wait until Redis tells of what became of it.
//  5. Load: the Loader runs in the cache's goroutine, on a context of its own that ends after LoadTimeout. Where it is slow or
//     fails, callers get what the flight has to fallback instead, if their policy lets them (fallback.go).
//  6. Store: in Redis, in the place of the lease, and then in the local tier, unless the key was changed since.
//
// A write (write.go) supersedes the flight of its key, changes Redis, and then the local tier, so that a read
// through the same Cache that starts after it returned sees it. Redis tells the other processes, which are behind for
// Heartbeat + Timeout at most. What couldn't be written to Redis is queued in the write queue ([ErrQueued]): until a replay has
// made up for it, reads don't rely on what Redis has there. docs/guarantees.md says what is promised, and what not.
//
// Inside: internal/local is the memory tier, internal/record one version of a value; a key state is what
// orders the fills and writes of one key, a hold an interest in a key state, a change what a key is to hold, turns the right to
// write keys to Redis. A job takes flights from start to landing, has fallbacks for those who wait, loads what it has
// tasks to and has a lease waiter for the rest; a held leases is its leases while it holds them; a owner is whose job it is, and a
// lifetime the owner of goroutines.
//
// A lookup is a job's first look, made by the caller, and an event what some wait for. The values call Codec, Cost and Clone, and
// make errors of their panics; a trial finds a codec that can't hold T.
//
// In Redis: a frame is the bytes of a record, a remote a cache's part of Redis, a request one command for each of some keys,
// which goes to a server in chunks; a window has the changes of a batch made chunk by chunk;
// a reading the read of one key; a pipeline takes the reads to a server, in batch, on lanes, but for those of keys in
// solitude; a swap is a write that is made only where a key still holds what was seen; a clock is Redis's time. A breaker keeps requests
// from a server while it doesn't answer, an outage; nodes are those of a Cluster that have a breaker and no stream of their
// own. A tag store has what orders loads and invalidations: the epoch, which Clear ends, and the tags; dependencies are what an item
// depends on of it. A queued invalidation is what a replay has to make up for with a key.
//
// What others change in Redis comes over a stream (stream.go tells why that can be relied on), one for each master in a
// Cluster's topology. Its source is a tracker, by which the server itself reports the changes (tracking.go), or a bulletin, on
// which the caches publish messages (pubsub.go). A stream lives one life after the other, each a connection; canaries show
// that the connection brings everything, and extend the validity that what was read may be served, and close the breaker; a
// watch gives dead connections up; a health is what Status and the log say, as often as a limit lets it; a refusal is what
// doesn't pass by itself, such as a lack of rights.
package tiered
