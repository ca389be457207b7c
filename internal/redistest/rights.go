package redistest

import "github.com/tiercache/tiercache/internal/rights"

// The rights of a Redis user that the documentation of tiered.NewRedis lists, for the prefix "tc:": the caches', and those that
// each kind of invalidation needs too.
var (
	CacheRights    = rights.Caches("tc:")
	TrackingRights = rights.Tracking("tc:")
	PubSubRights   = rights.PubSub("tc:")
)
