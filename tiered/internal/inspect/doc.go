// Package inspect finds out what the tiers of a cache have, and says in words what a read would do with it. It fills the types of
// package inspection, and changes nothing: no tier is filled, no lease taken, nothing counted.
//
// [Tiers] are the parts of a cache that it reads. [Tiers.Key] reports one key, [Tiers.Tag] one tag, [Tiers.Keys] and [Tiers.Tags] list
// them. [EventLog] records the last misses and loads, for those who look at them, and [MissReason] says why what a read found in Redis
// was a miss. What this package can't know, the caller tells it: the flight of a key and whether a write of it is queued.
//
// # The way of a key
//
//   - Tiers.Key peeks into the local tier, asks Redis for all that is under the key and for its second lease, and parses each frame
//     there, also those of other releases.
//   - A value's tags are looked up in Redis as they are now, not as this process last knew them. tags.States.Explain says what they
//     have left of the value.
//   - record.Use says how each copy may be served, so freshness has one rule here and on the path of a read.
//   - read.outcome is what GetOrLoad would do with both. It is a pure function of what was found; TestOutcome has its table, and
//     TestInspectSaysWhy of package inspection compares it with reads.
//
// # The files, from the bottom up
//
//   - words.go: durations, and why a value isn't fresh.
//   - outcome.go: what a read does. miss.go: why one was a miss.
//   - local.go, remote.go: what the tiers have for a key. key.go calls them.
//   - list.go: keys and tags.
//   - events.go: the EventLog, which uses no other file.
//
// # Invariants
//
//   - Redis gets only commands that read.
//   - Errors of Redis are part of what is reported.
//   - A cache that nobody looks at keeps no events, and each of its misses reads one atomic. An EventLog records from the first call of
//     All until ten minutes after the last one, in the order in which events were added; the newest overwrites the oldest.
package inspect
