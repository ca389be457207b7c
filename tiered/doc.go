// Package tiered is a cache in two tiers: the process's own memory first, Redis second.
//
// A [Cache] of T is made with New and [Options]. A [Redis] is made once per process with NewRedis and [RedisOptions], and
// shared by all caches. A [Policy] says how long values are kept and served; With returns a view of a cache under another
// policy. A [Loader] gets a value from the source. An [Entry] is a value with its age, [Tier] and [State]. [Stats] counts what
// happened, and [Trace] reports it as it happens, with a [LoadInfo], a [RedisInfo] or a [WaitInfo]. Absence is the error [ErrNotFound].
//
// A read, from top to bottom:
//
//  1. Local tier: a fresh value is returned if no report of a change can have been missed. As the [Policy] says, a value that is due
//     for a refresh, or stale, may be returned too, and is then replaced in the background.
//  2. One load: of the callers that miss a key at the same time, one looks further. The others wait, each on its own context.
//  3. Redis: a fresh value of the same schema (the type, or Options.Version) is decoded, put into the local tier and returned. An
//     error of Redis is a miss; if Redis can't be read at all, the local tier may serve what it has. A Redis that doesn't answer
//     isn't asked again until it does.
//  4. Permit: MaxLoads loads run at a time. Others wait in a queue, or get a stale value or [ErrOverloaded].
//  5. Lease: the first process to miss writes a lease under the key. The others wait until Redis reports what replaced it. Where reads
//     find nothing, one command reads the key and takes the lease.
//  6. Load: the Loader runs in a goroutine of the cache's, on a context of its own that ends after LoadTimeout. If it is slow or
//     fails, callers whose policy allows it get a stale value instead.
//  7. Store: in Redis, in place of the lease, and then in the local tier, unless the key was changed since.
//
// A write changes Redis and then the local tier, so that a read through the same Cache that starts after it returned sees it.
// Redis tells the other processes, which are behind for Heartbeat + Timeout at most. What couldn't be written to Redis is
// queued ([ErrQueued]); until that is replayed, reads don't rely on what Redis has there.
//
// docs/guarantees.md says what is promised, and what is not; docs/architecture.md how it is built.
package tiered
