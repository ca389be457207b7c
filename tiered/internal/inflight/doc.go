// Package inflight orders what this process does with a key at the same time: one load for all its callers, writes one after the
// other, and no value kept that was read or loaded before a write. It sends nothing to Redis and calls no loader: what a load
// does, and what its caller may be given meanwhile, is the caller's business.
//
// # Types
//
//   - [Table] has a state for each key with something under way, and puts results into the local tier.
//   - [Ref] is a reference to that state, and remembers the key's generation and its count of reported changes.
//   - [Flight] is one load of a key, which any number of callers wait for. It carries a State of the caller's, and may have a
//     [Fallback].
//   - [WriteLock] is held while Redis is written.
//   - [Owner] identifies the call that began a flight. [NewContext] marks the context of a load with it, so that a loader that
//     asks for its own key is found out instead of waiting for itself.
//   - [Retries] keeps failed flights for a while, so that a failing source isn't asked again at once.
//   - [Turn] lets one call of a batch's loader run at a time. [Latch] is an event that happens once.
//   - [Permits] limits how many loads a cache runs at a time. A load has, or waits for, a [Permit]; those with the most callers
//     get theirs first. [Demand] says whether anybody still needs a flight that waits.
//
// # Two numbers
//
// The generation of a key is incremented by this process: when a write begins, when it ends, when a Refresh or a retry begins a
// flight of its own, and when a loaded value is put into the local tier. The count of changes is incremented by what Redis
// reports. A reader takes a Ref with both before it reads Redis, and the local tier gets what it read only if both are still the
// same.
//
// # The life of a flight
//
//   - Table.Join returns the flight of the key. If it is new, the caller must run it.
//   - The caller may read Redis itself. PutReadAndLeave then keeps the item, if it is current, and Finish wakes the callers.
//   - Otherwise a job runs it. It calls Listen before each read, which renews the count of changes and asks to be woken by the
//     next one. BeginLoad comes before a primary lease is asked for; AbortLoad undoes it if another process has the lease.
//   - Before that it needs a permit. If none is free it waits in the queue, from which it may read again. Table.Demand says whether all
//     callers of a flight have given up (GiveUp), and whether a running load has joined it, which must not wait for the queue.
//   - The result is stored in Redis, and PutLoaded puts it into the local tier, unless the key was written meanwhile. If only a
//     change was reported while it was stored, the key is deleted there instead.
//   - Redis reports the store as well, and the item goes. It comes back by PutKept, when Redis has said that the key still has it.
//   - Leave makes later callers begin a new flight, and then Finish wakes those that wait: when a call has returned, its next one
//     must not join the same flight. Only with StoreBehind does Finish come first, so that callers join until it is stored.
//   - A flight that failed may be kept by Retries.Delay: callers join it until RetryAfter is over, or the cache closes. Dismiss only
//     ends the joining.
//
// Any caller joins a flight of a Refresh. A Refresh joins no other flight. A retry, a call that has waited for another's flight in
// vain, also joins that of another retry if its load has at least as much time.
//
// # The life of a write
//
//   - BeginWrite supersedes what is under way: the generation changes, and later callers don't join.
//   - LockWrites locks the keys, in their order, so that two batches don't wait for each other.
//   - The caller calls Retain for the call to Redis, which calls Release when nothing more of it can reach Redis.
//   - EndWrite supersedes again, and puts the written item into the local tier. If a change was reported since the caller's
//     Listen, it deletes the key there instead: another process may have written later.
//
// # Locks
//
// A shard's lock guards the states of its keys, with the fields of their flights that say so; there are 64 shards. The local tier is
// changed with it held. Nothing waits with it held: a write lock is a channel of its own, and Finish is called without it. A
// lock of its own guards the Permits; it is taken with a shard's lock held, never the other way round.
//
// # Why this way
//
//   - singleflight alone would give a caller that comes after a Delete the result of a load from before it.
//   - A write changes the generation at its beginning, so that a load that ends meanwhile isn't stored, and at its end, because
//     a read that began meanwhile may have found the old value in Redis.
//   - If a writer that stops waiting released the lock alone, its command might reach Redis later than the next write's.
//   - In order of arrival a slow source would be busy with loads whose callers have just given up, while keys that are read often wait.
//   - Without the count of own events, a flight could not be joined after its own lease, which Redis reports as a change.
//
// # The files, from the bottom up
//
//   - latch.go, owner.go, turn.go, permits.go: they use no other file; fallback.go uses latch.go.
//   - flight.go (over permits.go and fallback.go), table.go, changes.go, put.go, which use each other: flights; key states, and
//     which calls join; what Redis reports; what enters the local tier.
//   - demand.go, retries.go, writelock.go: flights that wait for a permit, failed flights, and the locks of writes, over table.go.
//
// # Invariants
//
//   - A Ref is taken before Redis is read. [Table.PutRead] keeps what was read only if no write has begun or ended, no load
//     has arrived, and no change was reported since.
//   - [Table.PutKept] is called by the goroutine that gets the reports, in order with these, and keeps nothing after a write or a load.
//   - A write supersedes when it begins and when it ends: what was read or loaded in between isn't kept, and later callers don't
//     join a flight from before.
//   - A change that Redis reports ends joining, except for the one change that is the flight's own lease.
//   - Writes of a key reach Redis in the order in which they got the key's lock. The lock is held until the writer and its call
//     to Redis are both done, also if the writer stops waiting.
//   - A key is copied when its state is made. All that outlives the call uses that copy.
//   - While a load waits in a queue, no permit is free.
//   - A state exists only while it is referred to.
package inflight
