// Package inspection has the types in which a cache reports its state to those who operate it: what its tiers have for a key, why a
// read of it would miss, which keys and tags there are, which are read most, and how the streams of invalidations are doing. The
// methods of tiered.Cache return them. They change no value, take no lease and keep nothing from being evicted.
//
// What they don't say:
//
//   - Other processes' local tiers aren't visible. The local copy is this process's own.
//   - Reads of the past aren't recorded, except misses and loads while somebody asks for Events. To record the hits of each key would
//     make each hit slower; HotKeys is an estimate from a sample instead.
//   - An entry that was evicted, or deleted, leaves no trace. That nothing is there is then all there is to say.
package inspection
