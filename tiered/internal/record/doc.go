// Package record is one version of a key's value, as both tiers have it, and the rules of its age.
//
//   - [Record] is the value with the instants from and until which it is fresh.
//   - [Meta] is the rest: whether the source has no value, how long the load took, the value's own windows, its tags.
//   - [Use] says how a record may be used at an instant: not at all, as a fallback, stale, or fresh. Record.Use is the only
//     place where freshness is decided.
//   - [Retention] says for how long a record is kept past its TTL, in the local tier and in Redis.
//
// Refreshing before the end of the TTL is spread by chance: Meta.DrawEarly draws for each record by how much it is refreshed
// earlier than its policy says.
//
// # Invariants
//
//   - A Record, and its Meta with the tags and windows in it, don't change once others can see them. Items of the local tier
//     share a Meta that is the same for all of them. What changes is made as a copy.
//   - A record is never fresh again once it was stale: Stale is true from FreshUntil on, and always if Expired.
package record
