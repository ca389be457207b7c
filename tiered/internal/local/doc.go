// Package local is the first tier: items in this process's memory. It is ristretto with an exact interface: what was set is
// what is read next, and what was deleted isn't read again. The package knows neither Redis nor loads. It doesn't decide
// whether an item is newer than what its key has: package inflight does, which makes all Sets and Deletes.
//
//   - [Tier] is the tier. Get is a hit; the other Gets return what may be served when Redis can't be read or a load fails.
//   - [Item] is a record in the tier, with what its validity depends on. A reader checks the key, the time, and the validity.
//   - generation is a ristretto cache. A tier has one with few counters, and later one with all (growth.go).
//   - store is the present generation, and how items are given to it.
//   - front finds most items that are read without ristretto.
//   - writeBuffer has the items that ristretto may not have taken in yet.
//   - sweeper removes expired items, to free their memory.
//   - interner lets items share what is the same in them.
//   - stripe counts reads without contention.
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
//   - A Get or a Set during Close is a data race. So a generation is closed when the Gets in it have ended, and the write
//     buffer refuses Sets.
//   - Its counters can't be made more. So another ristretto takes the place of the first when the tier grows.
//
// # The life of an item
//
//   - NewItem makes it of a record, or SetMeta and SetDeps fill one that a caller has decoded into. Both share the Meta and the
//     Deps of the item before, if these are equal. NewItem and WaitForRoom wait while the hash's part of the write buffer is full.
//   - Set, or SetBuffered and later Flush, adds it to the write buffer, which hands it over to ristretto. From then on each Get
//     finds it. An older item of the hash that is still in the buffer is marked as deleted.
//   - When ristretto has handled its queue, the buffer forgets the item. ristretto has admitted it, or rejected it because it
//     values others more; the item is then gone.
//   - Get finds it in the front, in ristretto, or else in the buffer, and serves asks whether this reader may have it: the key, the time,
//     the validity. What is stale, or not verified, is served by the rules of record.Use and of the cache's Strict.
//   - A Get that finds it in ristretto puts it into the front: always while there is room for all items, and once in eight times if not.
//   - It leaves by Delete, by Expire, which may leave a stale copy, by the Set of another, by ristretto's eviction, or by the
//     sweeper once it can't be served any more. An invalidation of its tags or its epoch doesn't touch it: the flags in its
//     Deps change, and the next Get sees that.
//
// # Growth
//
// ristretto's counters say which items are read often, and are of no use while there is room for all. A cache whose MaxCost is far more
// than it needs would pay for them nevertheless, up to 48 MB. So a tier begins with a generation that has few, and once it has many items
// the write buffer's goroutine replaces that one, between two rounds. It holds all hashes: what is set or deleted stays in
// the buffer, and ristretto gets nothing. It copies the items, makes the new generation the present one, ends the hold, and
// closes the old generation when the Gets in it have left. Each Get counts itself into and out of its generation.
//
// # Goroutines and locks
//
// The write buffer's goroutine empties it, and the sweeper's removes items; ristretto has its own. A lock of the buffer guards
// a 32nd of the hashes. It is held when an item is added or deleted, and for a Get only if the buffer isn't empty and ristretto
// has no item to serve. Everything else of this package that a Get uses is atomic or doesn't change.
//
// # Why this way
//
//   - Waiting for ristretto after each Set would delay each Set, and not bring back those that its queue had no room for. The
//     buffer's goroutine waits once for all that were handed over, and repeats what was dropped.
//   - ristretto's own TTL keeps another map, and reads the clock once more for each hit.
//   - Half of the time of a Get of ristretto is its lock and the record of the read, by which it learns what is read often. It
//     needs no such record while there is room for all items, and one in eight of those that are read often: its counters go up
//     to 15 only. So the front tells it of no hit, or of one in eight.
//   - Most items have the metadata and dependencies of the item before. Sharing them leaves an item of 64 bytes, one cache line,
//     where each had 224 (docs/performance.md).
//
// # The files, from the bottom up
//
//   - item.go, stats.go, intern.go, stripe.go, capacity.go: what the others work on. capacity.go sizes ristretto's counters.
//   - front.go, generation.go, store.go, then writebuffer.go with growth.go, then sweeper.go: ristretto and what makes it exact.
//   - tier.go: the tier, which has all of these; sampler.go, samples of the hits; then get.go, and set.go, which uses it.
//   - peek.go: the items as they are, for those who inspect them.
//
// # Invariants
//
//   - While a hash is in the write buffer, and the round of its item isn't over, ristretto gets no Set and no Del of that hash.
//     Its queue may hold an older item of the hash, and it would keep that one or drop a newer one.
//   - An item is in the front only if no Set or Delete of its key has ended since ristretto had it (front.go).
//   - While a shard of the write buffer is held, neither generation changes but by the copying, and an item that was replaced or
//     deleted is marked.
//   - An item, its Meta and its Deps don't change once the item is set, except for its local end, which is atomic. What
//     changes is set as a new item.
//   - A hit allocates nothing, calls no interface, and reads no clock unless the sampler takes a sample of it: the caller's one reading
//     decides about time and validity.
package local
