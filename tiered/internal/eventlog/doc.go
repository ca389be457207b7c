// Package eventlog records the last misses and loads of a cache, for the people who look at it.
//
// A [Log] records nothing until [Log.All] is called, and stops ten minutes after the last call: a cache that nobody looks at keeps no
// events, and each of its misses reads one atomic. While it records, each event takes a lock, which the events of one cache share.
//
// # The files
//
//   - log.go has the Log. Its events are those of package inspection.
//
// # Invariants
//
//   - A Log that doesn't record holds no event and no memory for any.
//   - Events are in the order in which they were added; the newest overwrites the oldest.
package eventlog
