// Package coherence decides whether a value that was read from Redis, or loaded, may still be served.
//
// Two independent questions have to be answered, each time a value is served:
//
//   - Has a change of the key been missed? While a server's invalidations provably arrive, its [Feed] has a [Validity]
//     that holds. A value takes the Validity that was current before it was read, and is served while that holds. When the
//     stream of invalidations stalls, the Validity runs out; when the connection ends, it ends for good.
//   - Was the value invalidated by tag, or with the whole cache? A value carries a [Stamp]: the [Position] at which its load
//     began, and its tags. The [Epoch] and the [TagState] of each tag say before which positions values are invalid, or
//     stale. [Stamp.Status] compares them.
//
// An item of the local tier keeps both as [Deps], whose Valid a hit asks with its one clock reading.
//
// # Invariants
//
//   - A Validity is taken before the read, never after it: what changes in between is then heard while it is current.
//   - Position is taken before the load begins. An older one only invalidates more.
//   - When a flush replaces all invalidations, the new Validity is installed before the old one is ended. A reader that took
//     the old one has one that ends, and a reader that takes the new one reads after the flush.
//   - Deps, and what Stamp has, don't change once others can see them.
package coherence
