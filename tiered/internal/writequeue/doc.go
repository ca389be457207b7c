// Package writequeue keeps the writes that Redis didn't take, or may not have taken, until they are made up for.
//
// A [Queue] holds invalidations in place of writes. It never replays a value, because another process may have deleted that since.
// Until an invalidation is replayed, reads don't rely on Redis's content of its key: [Queue.Hides] and [Queue.HidesAll] say which,
// and [Queue.Withheld] why. Two caches of one name have a queue each, and neither sees the other's.
//
// Keys, tags and invalidations of everything are queued separately. [Queue.Changed] takes the replies to a write of keys;
// [Queue.InvalidateTags] and [Queue.InvalidateAll] make an invalidation with all that belongs to it. [Queue.ReplayTags] replays these.
// While something is queued, a goroutine (replayer.go) replays it. For keys it calls [Options].ReplayKeys, because the cache has to
// lock them: that function gets the invalidations from [Queue.Invalidations] and reports what became of them to [Queue.Settle] and
// [Queue.SetCause].
//
// # Invariants
//
//   - Order of an invalidation: Redis, or else the queue; then this process's memory; and last off the queue. So a read that
//     begins afterwards doesn't find an invalidated value in memory, and doesn't rely on Redis while the invalidation is queued.
//   - Each queued write has a number. A successful write takes off the queue only what was queued before it began.
//   - An expiry neither replaces nor takes off the invalidation of the same key or tag.
//   - An invalidation of tags, or of everything, stays queued while its replay is under way: a write whose value it would remove has to
//     wait for it.
//   - A queue of limited size becomes one invalidation of everything; nothing in it is dropped.
package writequeue
