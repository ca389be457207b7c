// Package tiered is a cache in two tiers: the process's own memory first, Redis second.
//
// A [Cache] of T is made with New and [Options]; a [Redis] is made once per process with NewRedis and [RedisOptions]
// and shared by all caches. A [Policy] says how long values are kept; With makes a view of a cache under another
// policy. A [Loader] gets a value from the source. An [Entry] is a value with its age, [Tier] and [State]; [Stats]
// counts what happened. Absence is the error [ErrNotFound].
//
// A read, from top to bottom (load.go, and many.go for many keys):
//
//  1. Local tier: a fresh record is returned.
//  2. Flight: one per key and process; whoever asks meanwhile waits for it, each on its own context.
//  3. Redis: a fresh frame is decoded, put into the local tier and returned. An error of Redis is a miss.
//  4. Load: the Loader runs in the cache's goroutine, on a context of its own that ends after LoadTimeout.
//  5. Store: in Redis, then in the local tier, unless the key was written since step 2.
//
// A write (write.go) supersedes the flight of its key, changes Redis, and then the local tier, so that a read
// through the same Cache that starts after a Set or Delete returned sees it. What another process, or another Cache of the
// name, has in its local tier stays there for LocalTTL at most.
//
// Inside: a record is one version of a value, an item a record in the local tier, a nursery where new items are readable
// before ristretto has taken them in, a sweeper what frees the expired ones; a frame is the bytes of a record in Redis, a
// remote a cache's part of Redis, a clock Redis's time; a guard is what orders the fills and writes of one key, a hold an
// interest in a guard, a change what a key is to hold, turns the right to write keys to Redis; a pilot is who loads a
// flight's key or a batch's, and a lifetime the owner of goroutines.
package tiered
