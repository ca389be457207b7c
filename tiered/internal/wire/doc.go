// Package wire is the format of what caches keep in Redis and tell each other.
//
//   - [Frame] is a value with its metadata, [Windows] the part of a policy that a loader may set for one value.
//   - [Lease] is what a key holds while its value is loaded.
//   - [Keys] are the shapes of the keys, made and parsed.
//   - Messages name changed keys, where processes tell each other themselves (PubSub).
//   - Tags of an entry are a bounded set.
//
// Everything that is read may be any bytes: parsers return an error, never panic, and take no more memory than their input
// warrants. Each has a fuzz target.
//
// # Invariants
//
//   - The first FrameHead bytes of a frame, and the first LeaseHead bytes of a lease, identify it among all values that its
//     key ever had. Writes that replace what was read compare only these.
//   - Values of other programs are never taken for frames or leases, unless they begin with the same magic.
package wire
