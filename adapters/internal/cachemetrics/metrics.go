// Package cachemetrics lists the metrics that the adapters for OpenTelemetry and Prometheus make of [tiered.Stats] and of
// [httpcache.Stats], so that both have all of them, under the same names.
package cachemetrics

import (
	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/tiered"
)

// Metric is one counter, or one present value, of the statistics S.
type Metric[S any] struct {
	Name    string // in snake case, without a prefix or a suffix
	Tier    string // "local", "remote", or "" for none
	Unit    string // of OpenTelemetry, in which a noun in braces counts things
	Help    string
	Present bool // a present value, not a counter
	Value   func(*S) int64
}

// Tiers returns the metrics of a cache's tiers. Those that differ only in their tiers follow each other.
func Tiers() []Metric[tiered.Stats] {
	local, remote := tiered.Local.String(), tiered.Remote.String()
	return []Metric[tiered.Stats]{
		{Name: "hits", Tier: local, Unit: "{read}", Help: "Reads of a key that a tier answered.", Value: func(s *tiered.Stats) int64 { return int64(s.LocalHits) }},
		{Name: "hits", Tier: remote, Unit: "{read}", Help: "Reads of a key that a tier answered.", Value: func(s *tiered.Stats) int64 { return int64(s.RemoteHits) }},
		{Name: "misses", Unit: "{read}", Help: "Reads of a key that neither tier could answer.", Value: func(s *tiered.Stats) int64 { return int64(s.Misses) }},
		{Name: "collapsed", Unit: "{call}", Help: "Calls that waited for a load that another call had begun.", Value: func(s *tiered.Stats) int64 { return int64(s.Collapsed) }},
		{Name: "loads", Unit: "{load}", Help: "Calls of a loader.", Value: func(s *tiered.Stats) int64 { return int64(s.Loads) }},
		{Name: "load_errors", Unit: "{load}", Help: "Loads that failed, panicked or took too long.", Value: func(s *tiered.Stats) int64 { return int64(s.LoadErrors) }},
		{Name: "refreshes", Unit: "{key}", Help: "Keys for which a load in the background was begun.", Value: func(s *tiered.Stats) int64 { return int64(s.Refreshes) }},
		{Name: "shed", Unit: "{load}", Help: "Loads that were not begun because too many were running and waiting.", Value: func(s *tiered.Stats) int64 { return int64(s.Shed) }},
		{Name: "stale", Unit: "{read}", Help: "Reads served with a value past its TTL.", Value: func(s *tiered.Stats) int64 { return int64(s.Stale) }},
		{Name: "redis_errors", Unit: "{key}", Help: "Keys, tags and epochs whose read from Redis, or write to it, failed or timed out.", Value: func(s *tiered.Stats) int64 { return int64(s.RedisErrors) }},
		{Name: "spared", Unit: "{key}", Help: "Keys not read from or written to Redis because it does not answer.", Value: func(s *tiered.Stats) int64 { return int64(s.Spared) }},
		{Name: "codec_errors", Unit: "{value}", Help: "Values that the codec, Cost or Clone failed on.", Value: func(s *tiered.Stats) int64 { return int64(s.CodecErrors) }},
		{Name: "loads_running", Unit: "{load}", Present: true, Help: "Loads that have a permit now.", Value: func(s *tiered.Stats) int64 { return int64(s.LoadsRunning) }},
		{Name: "loads_waiting", Unit: "{load}", Present: true, Help: "Loads that wait for a permit now.", Value: func(s *tiered.Stats) int64 { return int64(s.LoadsWaiting) }},
		{Name: "bypassed", Unit: "{read}", Help: "Lookups that found an entry of the local tier and did not use it, because it was not certain to be current.", Value: func(s *tiered.Stats) int64 { return int64(s.Bypassed) }},
		{Name: "unverified", Unit: "{read}", Help: "Reads served with an entry that was not certain to be current, because Redis did not answer.", Value: func(s *tiered.Stats) int64 { return int64(s.Unverified) }},
		{Name: "breaker_opened", Unit: "{event}", Help: "How often a Redis server was no longer asked because it did not answer.", Value: func(s *tiered.Stats) int64 { return int64(s.Opened) }},
		{Name: "breaker_open", Unit: "1", Present: true, Help: "1 while a Redis server is not asked because it does not answer, else 0.", Value: func(s *tiered.Stats) int64 { return one(s.BreakerOpen) }},
		{Name: "stream_lost", Unit: "{event}", Help: "How often the invalidations of a Redis server ceased to arrive.", Value: func(s *tiered.Stats) int64 { return int64(s.StreamLost) }},
		{Name: "invalidations", Unit: "{change}", Help: "Changes of keys and tags that Redis, or another cache, reported.", Value: func(s *tiered.Stats) int64 { return int64(s.Invalidations) }},
		{Name: "queued", Unit: "{change}", Present: true, Help: "Changes that are queued now because Redis could not be written.", Value: func(s *tiered.Stats) int64 { return int64(s.Queued) }},
		{Name: "replayed", Unit: "{change}", Help: "Queued changes that were replayed.", Value: func(s *tiered.Stats) int64 { return int64(s.Replayed) }},
		{Name: "evicted", Unit: "{entry}", Help: "Entries that left the local tier for lack of room.", Value: func(s *tiered.Stats) int64 { return int64(s.Evicted) }},
		{Name: "rejected", Unit: "{entry}", Help: "Entries that the local tier did not admit.", Value: func(s *tiered.Stats) int64 { return int64(s.Rejected) }},
		{Name: "dropped", Unit: "{entry}", Help: "Entries that did not fit into the queue of the local tier at once.", Value: func(s *tiered.Stats) int64 { return int64(s.Dropped) }},
		{Name: "entries", Unit: "{entry}", Present: true, Help: "Entries in the local tier.", Value: func(s *tiered.Stats) int64 { return s.Entries }},
		{Name: "cost", Unit: "1", Present: true, Help: "Cost of the entries in the local tier.", Value: func(s *tiered.Stats) int64 { return s.Cost }},
	}
}

// HTTP returns the metrics of an HTTP cache, without those of its tiers.
func HTTP() []Metric[httpcache.Stats] {
	return []Metric[httpcache.Stats]{
		{Name: "hits", Unit: "{request}", Help: "Requests answered from the store.", Value: func(s *httpcache.Stats) int64 { return int64(s.Hits) }},
		{Name: "stale", Unit: "{request}", Help: "Requests answered from the store with a response past its freshness.", Value: func(s *httpcache.Stats) int64 { return int64(s.Stale) }},
		{Name: "validated", Unit: "{response}", Help: "Stored responses that the handler confirmed.", Value: func(s *httpcache.Stats) int64 { return int64(s.Validated) }},
		{Name: "not_modified", Unit: "{response}", Help: "Responses with status 304 from the store.", Value: func(s *httpcache.Stats) int64 { return int64(s.NotModified) }},
		{Name: "misses", Unit: "{request}", Help: "Requests that ran the handler, or waited for another request that did.", Value: func(s *httpcache.Stats) int64 { return int64(s.Misses) }},
		{Name: "collapsed", Unit: "{request}", Help: "Misses answered with the response to another request.", Value: func(s *httpcache.Stats) int64 { return int64(s.Collapsed) }},
		{Name: "stored", Unit: "{response}", Help: "Responses passed to the store.", Value: func(s *httpcache.Stats) int64 { return int64(s.Stored) }},
		{Name: "bypassed", Unit: "{request}", Help: "Requests that bypassed the cache.", Value: func(s *httpcache.Stats) int64 { return int64(s.Bypassed) }},
	}
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}
