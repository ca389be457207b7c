// Package history checks what tiercache guarantees over the record of a run: many processes use one cache, while Redis
// and they themselves are stalled, killed and cut off, and each notes its calls.
//
// An [Op] is one call with its interval on the [Clock] that all processes of the machine share. Workers write theirs to
// a [Log] as they go, [ReadOps] reads what a killed one has left, and a [Record] is everything together. [Check] gives
// a [Summary] with every [Violation] of
//
//   - G1, no resurrection: Redis serves no value whose load began before an invalidation of its key that has returned;
//   - G2, bounded staleness: a local tier serves none for longer than Delta after another's invalidation returned, nor does
//     Redis if that was by tag or of everything;
//   - G3, read your writes: a process never sees a value that it has invalidated itself;
//   - G4, one load: one loader runs per key and unexpired lease, where nothing was disturbed;
//   - identity: a value shows up under its own key only, and not before it was made.
//
// Each value has a number, the ID of the Load or Set that made it, so a read tells which value it saw. Of all that was
// invalidated before a read began only the invalidation that ended first matters, and for each key, tag and process a
// timeline answers which that is with a binary search. So millions of operations take seconds; nothing searches for an
// order in which they could have happened.
//
// What may happen at either side of an instant passes: a write that failed or never returned proves nothing.
package history
