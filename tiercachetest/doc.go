// Package tiercachetest helps to test code that uses tiercache.
//
//   - [New] makes a cache that is closed when the test ends. Without a Redis it works in a bubble of package testing/synctest, where
//     TTLs run out as fast as the test says. [Cache.Loads] says how often a key was loaded. If the code under test modifies a value
//     that it got from the cache, and so shares with other callers, the test fails.
//   - [NewNoOp] makes a cache that keeps nothing, for tests of what is behind the cache.
//   - [StartRedis] starts a redis-server for the test, which breaks when the test says so: it can be killed, frozen, cut off or slow.
package tiercachetest
