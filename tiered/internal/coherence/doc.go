// Package coherence has the types that decide whether a value that was read from Redis, or loaded, may still be served. It sends
// nothing, starts no goroutine and has no lock. Package invalidation extends and ends validities, package tags replaces epochs
// and states of tags, and package local asks about them on each hit.
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
// An item of the local tier keeps both as [Deps]. Deps has three questions: Valid, with a hit's one clock reading, reports
// whether nothing has invalidated the item and no change can have been missed; Intact, whether nothing is known to have
// invalidated it, which is enough while its server doesn't answer; AfterExpiry returns what a stale copy depends on.
//
// # Which goroutine or lock changes them
//
//	Validity of a Feed, Feed.Current,  the goroutine that reads the connection of the feed's stream
//	  its names
//	Feed.Unreachable                   the server's breaker and canaries
//	Epoch, TagState                    the lock of tags.Index; hits read Over, Dead, Latest and Validity without it
//	Position, Stamp, Deps              nobody, once others can see them
//
// # The life of a Validity
//
//   - A new connection of a stream stores a new Validity in Feed.Current. It doesn't hold yet.
//   - With TrackingKeys a value takes the Validity when the server has confirmed it, over the stream's connection (Feed.Ask). What a
//     request read has one of its own before, which ends Heartbeat + Timeout after the request was sent.
//   - The first canary that the stream reports extends it to the instant at which the canary was sent, plus Heartbeat and
//     Timeout. So do the later ones: one store for all the items that have this Validity.
//   - A request takes Feed.Validity before it is sent, the reply has it, and the item's Deps get it. A hit asks Deps.Valid. If the
//     stream doesn't report the changes of the key's cache, which Feed.Reported says, the reply has Never instead.
//   - When no canary comes back, it runs out. From then on its items are served only while the server doesn't answer. If a
//     canary comes back later on the same connection, nothing was missed: the Validity is extended, and holds again.
//   - A flush replaces it, and the end of the connection ends it. Items that have it are never valid again. Nothing looks for
//     them: each is read from Redis again when it is asked for.
//
// # The life of a Stamp
//
//   - tags.Index.Position returns the Position before a load begins, and Position.Stamp makes the Stamp of its result.
//   - The Stamp is stored with the value: in the metadata of its record, and in its frame in Redis.
//   - InvalidateTags raises Seq of the tag's state, and ExpireTags its Expiry; Clear begins another Epoch, and ExpireAll raises
//     the Expiry of this one. Each process sets Dead or Over of what it had, and reads the new state when it next needs it.
//   - A process that reads the value compares the Stamp with the current states. If it isn't invalid, its item's Deps point
//     to them, and the next invalidation that sets Dead or Over reaches the item there.
//
// # Why this way
//
//   - Items point to flags. With a list of the items of each tag, an invalidation would cost more the more values it concerns.
//   - A Validity is a time limit. A flag that says "connected" would still be set when a frozen process wakes up.
//   - Positions are counted. With timestamps, the clock of some process would decide which value is older.
//   - A tag whose state is unknown makes a value invalid: what Redis has lost never resurrects a value.
//
// # The files, from the bottom up
//
//   - validity.go, feed.go: until when something is known to be current, and a server's current validity.
//   - epoch.go, stamp.go, which use each other: epochs and positions; the states of tags, and stamps.
//   - deps.go: both questions about one item.
//
// # Invariants
//
//   - A Validity is taken before the read, never after it: what changes in between is then heard while it is current. So are
//     the names that are reported, which a new connection stores before its Validity.
//   - Position is taken before the load begins. An older one only invalidates more.
//   - When a flush replaces all invalidations, the new Validity is installed before the old one is ended. A reader that took
//     the old one has one that ends, and a reader that takes the new one reads after the flush.
//   - Latest is set before Over or Dead, so that a reader that sees these also sees it.
//   - Deps, and what Stamp has, don't change once others can see them.
package coherence
