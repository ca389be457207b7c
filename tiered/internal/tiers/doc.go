// Package tiers makes one store of a cache's two tiers: it reads both, writes both in the order that keeps old values out, and queues
// and replays what Redis doesn't take. It takes leases for loads and stores their results. It calls no loader and nobody waits here for
// another's load: that is the business of the caller, whose state of a flight is S.
//
// # Types
//
//   - [Tiers] put the parts together: package local is the memory, remote is Redis, inflight orders what this process does with a key,
//     tags knows what was invalidated, and writequeue what must be replayed.
//   - [Hit] is what a read without a load found.
//   - [Written] is what became of a write by a caller.
//   - [Task] is a flight whose value a job must load. [Claims] are the tasks of one round of the job, by the lease that each needs, and
//     [Leases] those that the job has or waits for.
//
// # The life of a read
//
//   - Tiers.Read asks Redis, except for keys with a queued write. It binds each record to its epoch and tags, so that one that was
//     invalidated is none. Fill puts a record into the local tier, unless the key was changed since its reference was taken.
//   - Decode does the same with the reply to a read of a single key, if what this process knows already is enough.
//   - Fetch is Read and Fill for callers without a loader; if Redis can't be read, it returns what memory has. FetchMany does so for
//     any number of keys.
//   - Rebind says whether an item may still be served after its tags or its epoch were reported to have changed.
//
// # The life of a write
//
//   - SetMany registers the tags, and makes a key write of each value; Remove makes key writes without values. A window sends them to
//     Redis in chunks.
//   - writes.write begins each: what is under way for the key is superseded. It locks the keys, and sends them.
//   - What failed is queued. Only then does the write end: the local tier is changed, and the key is superseded once more.
//   - The queue calls replayKeys until Redis takes the invalidation: it locks the keys, and removes what is older.
//
// # The life of a load
//
//   - Acquire notes the position among the invalidations, and then takes the leases. It returns the tasks to be loaded; other
//     processes load the rest, and Leases.Waits knows their leases. ReadOrLease, for a key that probably holds nothing, takes the lease
//     with the read that comes before.
//   - The caller loads, and SetResult makes records of the values.
//   - Store replaces in Redis only what the load may replace, and then puts the value into the local tier. A value that Redis can't
//     take is valid in the local tier for a short time: nobody would report a change of it.
//   - keep puts what was stored, or with TrackingKeys what was read, into the local tier when its server has confirmed that the key still
//     has it, since the report of the store has removed it. A Set does so, too.
//
// # Why this way
//
//   - If the local tier were changed before Redis, a read in between could put the old value back.
//   - If a write ended before it was queued, a read in between would take Redis's old value for the new one.
//   - A value that was queued to be replayed might undo a later write of another process. So invalidations are queued.
//
// # The files, from the bottom up
//
//   - task.go: what a load is for. lease.go, store.go: its leases and its results, over write.go.
//   - tiers.go, replay.go, write.go, keep.go, which use each other: the Tiers; writes that are replayed; writes of keys; what stays local.
//   - set.go: the writes of callers, over write.go. read.go: reads.
//
// # Invariants
//
//   - A write changes Redis, then the key's generation, then the local tier; what fails is queued before the generation changes.
//   - A reference to a key is taken before Redis is read for it. Fill keeps nothing that was overtaken since.
//   - The position among the invalidations is taken before the load, and before its lease if that isn't taken by the read.
//   - What is kept was confirmed by the server that reports its changes, in order with the reports.
//   - A load's result replaces only the load's own lease, or the value that the load was to replace.
//   - No key is read from Redis while a write of it is queued, nor any while an invalidation of tags or of everything is.
package tiers
