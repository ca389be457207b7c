package redistest

// The rights of a Redis user that the documentation of tiered.NewRedis lists, for the prefix "tc:": the caches', and those that
// each kind of invalidation needs too.
var (
	CacheRights    = []string{"~tc:*", "+get", "+set", "+del", "+eval", "+time", "+pttl", "+pexpire", "+getrange", "+setrange", "+incrby"}
	TrackingRights = []string{"~tc!*", "&tc!*", "+client|tracking", "+subscribe", "+ping"}
	PubSubRights   = []string{"&tc!*", "+publish", "+subscribe", "+ping"}
)
