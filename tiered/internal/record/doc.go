// Package record is one version of a key's value, as both tiers have it, and the rules of its age. It doesn't know where a
// record is kept, and whether it was invalidated is the question of package coherence.
//
//   - [Record] is the value with the instants from and until which it is fresh.
//   - [Meta] is the rest: whether the source has no value, how long the load took, the value's own windows, its tags.
//   - [Use] says how a record may be used at an instant: not at all, as a fallback, stale, or fresh. Record.Use is the only
//     place where freshness is decided.
//   - [Policy] says for how long new records are kept, and how those that were read may be served.
//   - [Retention] says for how long a record is kept past its TTL, in the local tier and in Redis.
//
// # The ages of a record
//
//	Created          Good: served
//	  RefreshAfter   less Meta.Early, but not before half of it: RefreshDue: served, and a load in the background replaces it
//	FreshUntil       WhileRevalidate, for that window: served at once, while a load in the background replaces it
//	                 IfError, for that window: served only if a load fails or is slow
//	                 then Unusable
//
// Both windows begin at FreshUntil, and a view may have one, both or neither. A record that an Expire has marked is never
// fresh, nor served WhileRevalidate; it may be used IfError until the end of that window. An absence is Good or Unusable.
//
// # From its beginning to its end
//
//   - A Set or a load makes it with [NewFor], as a Policy says; a read from Redis makes it of a frame, with the instants of this
//     process's clock.
//   - DrawEarly draws by how much this copy is refreshed earlier than its policy says, so that processes that have the same
//     value don't refresh it at once. XFetch draws a number for each request; here a hit only compares.
//   - Record.Use decides at each hit, with the windows of the reader's view, or with the record's own if its loader set them.
//   - Record.StaleFor and RedisTTL say when the tiers may drop it. Unless it has windows of its own they take the longest
//     window of any view of the cache: the reader's policy decides what is served, and may allow more than that of the view
//     that stored the record. Redis keeps the record wire.MaxLease longer if a load may replace it, so that it outlasts that.
//
// # The files, from the bottom up
//
//   - meta.go, then record.go: what a record is.
//   - use.go, retention.go: how it may be used, and how long it is kept. Neither uses the other.
//   - policy.go: new records, and when the local tier drops them. It uses record.go and meta.go.
//
// # Invariants
//
//   - A Record, and its Meta with the tags and windows in it, don't change once others can see them. Items of the local tier
//     share a Meta that is the same for all of them. What changes is made as a copy.
//   - A record is never fresh again once it was stale: Stale is true from FreshUntil on, and always if Expired.
//   - A Retention only grows: views are never removed.
package record
