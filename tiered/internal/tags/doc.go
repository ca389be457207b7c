// Package tags keeps what has been invalidated by tag, or with the whole cache: in Redis for all processes, and what this
// process knows of it in memory.
//
// [Store] is the part in Redis: the cache's epoch, the count of its invalidations, and a record for each tag that stored values
// have. The comment on Store describes the keys. [Index] is this process's copy of it. A hit needs only the states that its
// value's [coherence.Deps] already point to; most loads and reads from Redis find the epoch and the states of their tags in the
// Index too.
//
// The way of a value:
//
//   - Before its load, [Index.Position] returns the epoch and the count: the value's [coherence.Stamp].
//   - Before it is stored, [Index.Register] makes sure that each of its tags has a record, which is kept for as long as the value.
//     It returns no dependencies if the value was invalidated during the load.
//   - After it is read from Redis, [Index.Bind] compares its stamp with the current states. [Index.BindKnown] does so only if
//     the Index knows them.
//   - A value that couldn't be stored gets its dependencies from [Index.BindUnstored].
//
// [Index.Invalidate] and [Store.Clear] change Redis; [Index.Invalidated] and [Index.EpochChanged] then change this process's copy.
// The caller must keep this order. Other processes' changes are reported to [Index.TagChanged], [Index.SeqChanged],
// [Index.EpochChanged] and [Index.Interrupted].
//
// In a cache without Redis the Index alone counts the invalidations.
//
// # Invariants
//
//   - A reply from Redis is kept only if no change was reported since its read began, and for as long as its validity holds.
//   - A lost record of a tag, a lost epoch or a lost count invalidates; it never makes an invalidated value valid.
//   - The count of a new record is read after the record was created, so that no invalidation in between is missed.
//   - An epoch that ends is over for every value that depends on it, even if its end was reported before this process knew it.
package tags
