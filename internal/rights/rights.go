// Package rights has the rights that a Redis user of the caches needs, as rules of ACL SETUSER. The documentation of
// tiered.NewRedis lists the same, which a test compares.
package rights

import "strings"

// Caches returns the rights that the caches themselves need, for keys with the prefix, such as "tc:".
func Caches(prefix string) []string {
	return []string{"~" + prefix + "*", "+get", "+set", "+del", "+eval", "+time", "+pttl", "+pexpire", "+getrange", "+setrange", "+incrby"}
}

// Tracking returns the further rights for RedisOptions.Invalidation Tracking.
func Tracking(prefix string) []string {
	control := control(prefix)
	return []string{"~" + control, "&" + control, "+client|tracking", "+subscribe", "+ping"}
}

// PubSub returns the further rights for RedisOptions.Invalidation PubSub.
func PubSub(prefix string) []string {
	return []string{"&" + control(prefix), "+publish", "+subscribe", "+ping"}
}

// Cluster returns the further rights in a Cluster.
func Cluster() []string { return []string{"+cluster|slots"} }

// control is the pattern of the keys and channels that aren't a cache's.
func control(prefix string) string { return strings.TrimSuffix(prefix, ":") + "!*" }
