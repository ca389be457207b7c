// Package inflight orders what this process does with a key at the same time: one load for all its callers, writes one after the
// other, and no value kept that was read or loaded before a write.
//
// A [Table] has a state for each key with something under way. A [Ref] is a reference to that state, and remembers the key's
// generation and its count of reported changes. A caller that misses joins the key's [Flight], or begins one. A [WriteLock] is held
// while Redis is written. The Table puts the results into the local tier, if they aren't outdated.
//
// What a load does, and what its caller may be given meanwhile, is the caller's business: a Flight carries a State of the
// caller's for it. [NewContext] marks the context of a load, so that a loader that asks for its own key is found out.
//
// # Invariants
//
//   - A Ref is taken before Redis is read. [Table.PutRead] keeps what was read only if no write has begun or ended, no load
//     has arrived, and no change was reported since.
//   - A write supersedes when it begins and when it ends: what was read or loaded in between isn't kept, and later callers don't
//     join a flight from before.
//   - A change that Redis reports ends joining, except for the one change that is the flight's own lease.
//   - Writes of a key reach Redis in the order in which they got the key's lock. The lock is held until the writer and its call
//     to Redis are both done, also if the writer stops waiting.
//   - A key is copied when its state is made. All that outlives the call uses that copy.
//   - A state exists only while it is referred to.
package inflight
