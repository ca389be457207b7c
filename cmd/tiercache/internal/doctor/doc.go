// Package doctor examines a Redis for the caches of tiercache: whether it has all that tiered.NewRedis needs, whether invalidations
// arrive, and what else will cause trouble. It changes no value: it writes and publishes under names that no cache has, and what it
// writes expires within a second, except for the mark that tiered.NewRedis leaves for an hour with Tracking.
//
//   - report.go: what was found.
//   - examination.go: an examination under way, and its servers. All others use it.
//   - server.go, clock.go, memory.go, connections.go: what is asked of each server.
//   - library.go: what tiered.NewRedis says, in each mode of invalidation.
//   - delivery.go: whether changes and messages are reported, and how soon.
//   - advice.go: the RedisOptions to use.
//   - examine.go: the order of all that.
package doctor
