// Package remote is a cache's Redis tier: values, leases and the deletions that are replayed.
//
// A [Tier] maps the cache's keys to Redis's, and records to frames and back; package wire has the bytes, package redisconn sends
// the commands. It knows nothing of loads and callers, and doesn't judge what it reads: a [Result] says what is under a key, and
// [Result.Use] how that may be served once its dependencies are known. These come from package tags; Deps is the caller's field.
//
// # Types
//
//   - [Tier] has no state but the reads that it has started. Its methods may be called from any number of goroutines.
//   - [Result] is what a read found: a record, a lease, bytes that can't be decoded, or nothing. Its Seen is what a later write
//     must still find there.
//   - [HeldLeases] are the leases of one load. A lock guards them: the job takes and releases them, a timer extends them.
//   - [LeaseWaiter] waits for the leases of other processes. Only its job's goroutine uses it; others send on its channel.
//   - [Invalidation] is an invalidation that Redis didn't take, as [Tier.Retract] needs it.
//
// # The life of a value
//
//   - Encode makes a frame of a record. Write stores it whatever the key holds; Replace, for the result of a load, only in place of
//     what the load found or of its own lease.
//   - Read reads keys, or goes on with reads that StartOne or Start began. decode tells leases, frames and other programs' values
//     apart. The times of a frame, on Redis's clock, become instants of this process.
//   - A value of another program has no time of its own: it is fresh for the policy's ForeignTTL, and limitForeign asks for its
//     key's expiry.
//   - Write with Expire makes the frame stale where it is, and without a Frame deletes the key.
//
// # The life of a lease
//
//   - A load holds a lease, so that other processes wait for it instead of loading too. [Tier.Lease] puts a primary lease under the
//     key itself, which has no value worth keeping; a Read with a Lease does so if it finds nothing. [Tier.LeaseSecondary] puts a
//     secondary lease under a second key, while the old value stays; [Tier.Unchanged] then shows whether that was replaced before
//     the lease was taken.
//   - HeldLeases.Add records it, also if the reply was lost. From then on extend renews its TTL whenever a third of that is over,
//     for as long as the key still holds it.
//   - Other processes find it as Result.Lease, or get it from [Holder], and pass it to LeaseWaiter.Add. Wait returns when Redis
//     reports a change of one of the keys, when a lease should have ended, or to poll a server that reports nothing. Due says
//     which keys to read again.
//   - Replace puts the result in the place of a primary lease, and Drop records that. Release deletes what is left at the end of
//     the load: secondary leases, and the primary ones that no result has replaced.
//   - If the holder dies, Redis drops the lease after its TTL, and reports that to the processes that wait.
//
// # A hold
//
// Write with a Hold puts one under the key instead of deleting it, or ends it; [Tier.Release] ends it after a rollback. Read finds it as
// Result.Held. Nothing but a Write with a Frame replaces the holds of others.
//
// # The life of a replay
//
// [Tier.Probe] asks whether the key's server answers at all. [Tier.Retract] reads the beginning of the value, decides with
// outdates whether the invalidation applies to it, and deletes it or marks it as expired, if it is still there. [ErrChanged] says
// that it isn't: the caller tries again.
//
// # Why this way
//
//   - A lock under a key of its own could keep others from loading, but a Delete during the load would not end it, and the old
//     result would be stored. The key's own content is voided by every write, also of programs without tiercache.
//   - While a value may still be served, a primary lease would take it from the readers, and a load that fails would lose it.
//   - Waiting by polls alone would read each key at least four times a second. Redis reports changes of the key anyway.
//
// # The files, from the bottom up
//
//   - tier.go: the Tier, and how it makes requests.
//   - lease.go, write.go: commands for leases and values.
//   - decode.go, read.go, which use each other: reads, and frames from and to records.
//   - heldleases.go, leasewaiter.go: this process's leases, and the wait for others. leasewaiter.go uses no other file.
//   - replay.go: invalidations that are replayed. inspect.go: all that Redis has for a key.
//
// # Invariants
//
//   - A primary lease is the key's own content: whoever writes or deletes the key voids it, and the result of its load isn't stored.
//   - What a load or a replay replaces is named by bytes that no other content of the key has, and compared in Redis itself.
//   - A lease that may have been stored is held, even if Redis's reply was an error or was lost.
//   - Bytes that can't be decoded are a miss with an error to report. They are never a panic, and only a newer value replaces them.
//   - A value of another program expires here when it does in Redis.
package remote
