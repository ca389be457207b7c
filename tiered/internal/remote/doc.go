// Package remote is a cache's Redis tier: values, leases and the deletions that are made up for.
//
// A [Tier] maps the cache's keys to Redis's, and records to frames and back; package wire has the bytes. It knows nothing of loads
// and callers, and doesn't judge what it reads: a [Result] says what is under a key, and [Result.Use] how that may be served once
// its dependencies are known.
//
// A load holds a lease, so that other processes wait for it instead of loading too. [Tier.Lease] puts a primary lease under the
// key itself, which has no value worth keeping. [Tier.LeaseSecondary] puts a secondary lease under a second key, while the old value
// stays. [HeldLeases] are the leases of one load: it extends them while the loader runs, and releases those that no value replaced.
//
// [Tier.Write] changes keys whatever they hold. [Tier.Replace] stores the result of a load, only in place of what the load found or
// of its own lease. [Tier.Retract] makes up for an invalidation that Redis didn't take when it was made: it removes what is older.
//
// # Invariants
//
//   - A primary lease is the key's own content: whoever writes or deletes the key voids it, and the result of its load isn't stored.
//   - What a load or a replay replaces is named by bytes that no other content of the key has, and compared in Redis itself.
//   - A lease that may have been stored is held, even if Redis's reply was an error or was lost.
//   - Bytes that can't be decoded are a miss with an error to report. They are never a panic, and only a newer value replaces them.
//   - A value of another program expires here when it does in Redis.
package remote
