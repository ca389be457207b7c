//go:build !windows

package chaos

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Topology is how Redis is deployed.
type Topology string

// The topologies.
const (
	Single   Topology = "single"
	Sentinel Topology = "sentinel"
	Cluster  Topology = "cluster"
)

// Options configures a run. All fields but MaxCost, MaxLoads, Focus, Invalidation and Listeners are required; [Defaults] sets them.
type Options struct {
	Topology   Topology
	Time       time.Duration // how long workers run and faults are injected, without startup and checks
	Seed       uint64        // of operations, faults and the source: the same schedule as far as real time permits
	Workers    int           // processes
	Goroutines int           // of each worker
	Keys       int
	Tags       int
	Think      time.Duration // the mean pause between a goroutine's operations
	Timeout    time.Duration // RedisOptions.Timeout
	Heartbeat  time.Duration // RedisOptions.Heartbeat
	MaxCost    int64         // Options.MaxCost; 0: that of tiered
	MaxLoads   int           // Options.MaxLoads; 0: that of tiered
	Focus      string        // see On; "": none

	Invalidation tiered.Invalidation // RedisOptions.Invalidation
	Listeners    int                 // connections that stand for other processes
}

// Defaults returns the options of a short run. With an even seed the local tiers are too small for all keys.
func Defaults(topology Topology, seed uint64) Options {
	o := Options{
		Topology:   topology,
		Time:       10 * time.Second,
		Seed:       seed,
		Workers:    3,
		Goroutines: 16,
		Keys:       300,
		Tags:       24,
		Think:      10 * time.Millisecond,
		MaxLoads:   3,
		Timeout:    100 * time.Millisecond,
		Heartbeat:  200 * time.Millisecond,
	}
	if seed%2 == 0 {
		o.MaxCost = int64(o.Keys) / 4
	}
	return o
}

// Delta bounds the staleness of a local hit.
func (o Options) Delta() time.Duration { return o.Heartbeat + o.Timeout }

const (
	cacheName   = "chaos"
	redisPrefix = "tc:"
	loadTimeout = 3 * time.Second
	valueTTL    = 5 * time.Second
	absentTTL   = 200 * time.Millisecond
)

// redisKey returns the Redis key of a cache's key.
func redisKey(key string) string { return redisPrefix + cacheName + ":" + key }

// releaseName returns the Options.Version of a release.
func releaseName(release int) string { return strconv.Itoa(release) }

func keyName(i int) string { return fmt.Sprintf("key-%03d", i) }
