// Package writequeue keeps the writes that Redis didn't take, or may not have taken, until they are replayed. Until then it
// says which keys can't be read from Redis. It doesn't write keys itself, and knows no values.
//
// A [Queue] holds invalidations in place of writes. It never replays a value, because another process may have deleted that since.
// Until an invalidation is replayed, reads don't rely on Redis's content of its key: [Queue.Hides] and [Queue.HidesAll] say which,
// and [Queue.Withheld] why. Two caches of one name have a queue each, and neither sees the other's.
//
// # What is queued
//
//	keys        by key, with the time until which values are outdated   Changed, Failed         hides the key
//	tags        by tag                                                  InvalidateTags          hides all keys
//	clear       an invalidation of everything                           InvalidateAll           hides all keys
//	expireAll   an expiry of everything                                 InvalidateAll, expire   hides all keys
//
// Each has the number of the write that queued it. A queued clear covers queued tags and expireAll, and takes their place.
//
// # The life of a queued key
//
//   - A write takes a Mark, the number of the last write that was queued, and is sent to Redis.
//   - Changed gets the replies. Those that failed are queued under a new number, and their callers get an [Error]. Those that
//     succeeded take off what was queued for their keys up to the mark.
//   - add starts the replayer, unless it runs. It tries after some milliseconds, since the write may have failed by chance, then
//     with pauses that grow up to MaxPause, and at once if Redis answers again ([Queue.RetryNow]), until nothing is queued.
//   - The replayer calls [Options].ReplayKeys, since the cache has to lock the keys. That asks for their [Queue.Invalidations],
//     replays them, and reports the outcome with [Queue.Settle] or [Queue.SetCause].
//   - Settle takes a key off only if its number is still the same: a write that failed meanwhile has queued it again.
//
// # The life of queued tags, and of a queued Clear
//
//   - [Queue.InvalidateTags] and [Queue.InvalidateAll] make an invalidation with all that belongs to it: Redis, or else the queue;
//     then Options.Tags.Forget or ForgetAll; and last what the success takes off the queue, once no replay is under way (takeOff).
//   - The replayer does the same with what is queued, before it replays keys. A Set does it too ([Queue.ReplayTags]), while tags
//     are queued, because a later replay would remove its value. Neither it nor takeOff waits longer than Timeout: the replayer
//     may have many tags to replay, and a server that answers slowly.
//
// # Why in this order
//
// A read asks the tags.Index first, and then HidesAll. If the Index still had the old state, a later Forget ends what the read has
// found. If Forget had already run, the invalidation was queued before that. Then HidesAll reports it, unless a replay has taken
// it off meanwhile, after Redis had it and after another Forget, which ends what the read has found. If Forget came before the
// queue, or the queue were asked before the Index, a read in between would keep an invalidated value.
//
// # Locks
//
// mu guards all that is queued; it isn't held while Redis is asked. size repeats how much that is, so that a read of a cache with
// an empty queue takes no lock. replayingTags is full during a replay of tags, and while an invalidation takes something off.
//
// # The files
//
//   - queue.go, replayer.go, tags.go, which use each other: the queue and its keys; the goroutine that replays; tags and
//     invalidations of everything.
//   - hide.go: what can't be read meanwhile. It uses queue.go.
//
// # Invariants
//
//   - Order of an invalidation: Redis, or else the queue; then this process's memory; and last off the queue. So a read that
//     begins afterwards doesn't find an invalidated value in memory, and doesn't rely on Redis while the invalidation is queued.
//   - Each queued write has a number. A successful write takes off the queue only what was queued before it began.
//   - An expiry neither replaces nor takes off the invalidation of the same key or tag.
//   - An invalidation of tags, or of everything, stays queued while its replay is under way: a write whose value it would remove has to
//     wait for it.
//   - A queue that exceeds its limits becomes one invalidation of everything; nothing in it is dropped.
package writequeue
