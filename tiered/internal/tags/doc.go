// Package tags keeps what has been invalidated by tag, or with the whole cache: in Redis for all processes, and what this
// process knows of it in memory. It doesn't know values or keys, and it doesn't queue what Redis didn't take: package writequeue
// does, which calls Store and Index in the right order.
//
// [Store] is the part in Redis: the cache's epoch, the count of its invalidations, and a record for each tag that stored values
// have. The comment on Store describes the keys. [Index] is this process's copy of it. A hit needs only the states that its
// value's [coherence.Deps] already point to; most loads and reads from Redis find the epoch and the states of their tags in the
// Index too. In a cache without Redis the Index alone counts the invalidations (inprocess.go).
//
// # Three names for one thing
//
//	in Redis, see Store              in the Index              in package coherence
//	!era{users}                      epoch, nil: not known     Epoch
//	  8 random bytes                                             ID; in a Stamp and a TagState: Epoch
//	  count of the last ExpireAll                                Expiry
//	!count{users}                    current, nil: not known   Position.Seq, Stamp.Seq
//	!tag:admins                      records["admins"]         TagState
//	  epoch                                                      Epoch
//	  count of the last InvalidateTags                           Seq
//	  '~', count of the last ExpireTags                          Expiry
//	  or '?' and a token             none                        none: the values with the tag are invalid
//
// Seq is a value of the count key, and an EpochID the first 8 bytes of the era key. current has both, as a [coherence.Position];
// last is the last one that was known, which may be used where the present one can't be read.
//
// # The way of a value
//
//   - Before its load, [Index.Position] returns the epoch and the count: the value's [coherence.Stamp].
//   - Before it is stored, [Index.Register] makes sure that each of its tags has a record, which is kept for as long as the value.
//     It returns no dependencies if the value was invalidated during the load.
//   - After it is read from Redis, [Index.Bind] compares its stamp with the current states. [Index.BindKnown] does so only if
//     the Index knows them.
//   - A value that couldn't be stored gets its dependencies from [Index.BindUnstored].
//
// # The way of an invalidation
//
//   - [Index.Invalidate] increments the count, and then raises the record of each tag to the new count. If the reply shows another
//     epoch than the known one, whose report is still to come, the known one ends. [Store.Clear] writes a new epoch, or for
//     ExpireAll the new count behind the present one.
//   - [Index.Invalidated] or [Index.EpochChanged] then drops what this process knows: Dead or Over is set, and the values that
//     depend on it are invalid. The caller must keep this order, or a read in between would bring the old state back.
//   - The other processes drop it when Redis reports the keys: [Index.TagChanged], [Index.SeqChanged], [Index.EpochChanged]. After
//     a gap in the reports the validities have ended, and [Index.Interrupted] keeps the replies under way from being kept.
//   - The next read of a value with the tag reads the record again. The value's stamp is older than the count there.
//
// # The life of a tag's record
//
//   - register creates it with a token instead of a count: until it has a count, no value with the tag is valid.
//   - assignCounts reads the count, and replaces the token by it. If another process or an invalidation was first, its count stays.
//   - Invalidations and expiries raise it, if it is there. Without a record no stored value has the tag.
//   - Redis drops it a day after it was made, or later: it is kept at least twice as long as the value for which it was made, and
//     a value that needs it for longer than it is still there extends it.
//
// # Locks
//
// Index.mu guards records, the counts of reported changes, and all changes of epoch, current and last, which are read without it.
// It isn't held while Redis is asked. ask lets concurrent calls share one read of the position.
//
// # Why this way
//
//   - One count for the whole cache: a record that was lost is made again with a count higher than all before, which no old value
//     passes. With a count for each tag it would begin at 0.
//   - If the count was read before the record is created, an invalidation in between would find no record, and be missed.
//   - A position that is a little old only invalidates more, so a process need not read it before each load.
//
// # The files, from the bottom up
//
//   - store.go: the keys and scripts in Redis.
//   - index.go, inprocess.go: the Index, and how it counts without Redis. They use each other.
//   - epoch.go: positions and epochs.
//   - bind.go: the dependencies of values. It uses all others.
//   - hold.go: holds in the place of records, for transactions of the source.
//   - explain.go: the states, and why a value is invalid, for those who inspect it. It changes nothing.
//
// # Invariants
//
//   - A reply from Redis is kept only if no change was reported since its read began, and for as long as its validity holds.
//   - A lost record of a tag, a lost epoch or a lost count invalidates; it never makes an invalidated value valid.
//   - The count of a new record is read after the record was created, so that no invalidation in between is missed.
//   - An epoch that ends is over for every value that depends on it, even if its end was reported before this process knew it.
package tags
