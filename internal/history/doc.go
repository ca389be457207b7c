// Package history checks tiercache's guarantees over the record of a run, in which many processes use one cache, while Redis
// and the processes are stalled, killed and cut off, and every call is recorded.
//
// An [Op] is one call with its interval on the [Clock] that all processes of the machine share. Each worker writes its operations to
// a [Log] during the run, and [ReadOps] reads a log even if its worker was killed. A [Record] has the operations of all
// workers. [Check] returns a [Summary] with every [Violation] of
//
//   - G1, no resurrection: Redis serves no value whose load began before an invalidation of its key that has returned;
//   - G2, bounded staleness: a local tier serves no value for longer than Delta after another process's invalidation of it
//     returned; nor does Redis, if that was an invalidation by tag or of everything;
//   - G3, read your writes: a process never reads a value that it has invalidated itself;
//   - G4, one load: at most one loader runs per key, release and unexpired lease, while there is no fault;
//   - identity: a value is returned for its own key only, and not before it was made;
//   - schema: a value is returned only in the release that made it, if two releases differ in its type;
//   - limit: a cache runs at most MaxLoads loads at a time.
//
// Each value contains the ID of the Load or Set that made it, so that a read says which value it returned. Of all invalidations
// of the value before a read only the one that ended first matters, and a timeline for each key and tag finds it with a
// binary search. So millions of operations take seconds; there is no search for an order in which they could have happened.
//
// The checker gives the benefit of the doubt: a write that failed or never returned proves nothing.
package history
