// Package local is the first tier: items in this process's memory. It is ristretto with an exact interface: what was set is
// what is read next, and what was deleted isn't read again.
//
//   - [Tier] is the tier. Get is a hit; the other Gets return what may be served when Redis can't be read or a load fails.
//   - [Item] is a record in the tier, with what its validity depends on. A reader checks the key, the time, and the validity.
//   - store is the ristretto cache, and how items are found in it and given to it.
//   - writeBuffer has the items that ristretto may not have taken in yet.
//   - sweeper removes expired items, to free their memory.
//   - interner lets items share what is the same in them.
//   - stripe counts reads and writes without contention.
//
// # What ristretto leaves open
//
//   - A new key is only queued, a Set may be dropped when the queue is full, and of two Sets of an absent key the first wins
//     for good. So each new item is in the write buffer as well until ristretto has surely handled it, and is handed over
//     again if it was dropped.
//   - A Del doesn't reach a Set that is still queued. So a deleted or replaced item is marked, and readers check the mark.
//   - A value is found by the hash of its key alone. So an item has its key, and readers compare it.
//   - A Get counts as a use even if it finds nothing. So all but the first look of a read ask whether the hash is there first.
//   - A Set that replaces an item doesn't make room for a higher cost. So an item of lower cost is deleted before it.
//   - Its expiry reads the clock on each Get. So items have their own times, and the sweeper removes them.
//   - A Get or a Set during Close is a data race. So Close waits until the Gets that have begun have ended, and the write
//     buffer refuses Sets.
//
// # Invariants
//
//   - While a hash is in the write buffer, and the round of its item isn't over, ristretto gets no Set and no Del of that hash.
//     Its queue may hold an older item of the hash, and it would keep that one or drop a newer one.
//   - An item, its Meta and its Deps don't change once the item is set, except for its local end, which is atomic. What
//     changes is set as a new item.
//   - A hit allocates nothing, calls no interface, and reads no clock: the caller's one reading decides about time and
//     validity.
package local
