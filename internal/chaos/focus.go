//go:build !windows

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// focus is a workload that exposes one kind of bug within seconds. A zero field is as in a run without a focus.
type focus struct {
	keys, tags int
	caches     []int          // indexes in cacheConfigs
	acts       map[string]int // their weights
	faults     []string       // nil: no faults
	untagged   bool
	load       span // how long the source takes for each load; all succeed
	lag        lag
	think      time.Duration
	maxLoads   int
}

// focuses by name. None of them has writes by other programs.
var focuses = map[string]focus{
	// Calls overtake each other, and invalidations are late: what is read must not replace what was written here.
	"fills": {
		keys: 12, caches: longLived, lag: lag{Stream: 40 * time.Millisecond, Data: 4 * time.Millisecond},
		acts: map[string]int{"lookup": 40, "getOrLoad": 30, "burst": 20, "rewrite": 5, "delete": 5},
	},
	// Calls overtake each other, and invalidations are early: they overtake replies.
	"late replies": {
		keys: 150, caches: longLived, lag: lag{Data: 6 * time.Millisecond}, think: 5 * time.Millisecond,
		acts: map[string]int{"lookup": 60, "getOrLoad": 30, "burst": 20, "rewrite": 2},
	},
	// A key is deleted right after it was stored, before the process that stored it knows that, and then not loaded for a while.
	"races": {
		keys: 60, caches: longLived, lag: lag{Data: 10 * time.Millisecond}, think: 5 * time.Millisecond,
		acts: map[string]int{"lookup": 100, "getOrLoad": 6, "delete": 6},
	},
	// Keys are deleted while they are being loaded.
	"leases": {
		keys: 12, load: span{20 * time.Millisecond, 150 * time.Millisecond},
		acts: map[string]int{"getOrLoad": 60, "lookup": 30, "delete": 5},
	},
	// Callers return before their loads, which continue while the memory of their keys is reused for other keys.
	"reused memory": {
		keys: 30, load: span{5 * time.Millisecond, 40 * time.Millisecond},
		acts: map[string]int{"impatient": 40, "getOrLoadMany": 10, "lookup": 30, "delete": 5, "set": 5},
	},
	// Many callers ask for one key at once, which is never written.
	"hot keys": {
		load: span{20 * time.Millisecond, 60 * time.Millisecond},
		acts: map[string]int{"hotKey": 1},
	},
	// Tags are invalidated while values that have them are being loaded.
	"tags": {
		keys: 60, tags: 6, load: span{20 * time.Millisecond, 150 * time.Millisecond},
		acts: map[string]int{"getOrLoad": 40, "lookup": 40, "burst": 5, "refresh": 5, "invalidateTags": 1},
	},
	// Tags, and now and then everything, are expired while values are being read and loaded.
	"expiries": {
		keys: 60, tags: 6, load: span{time.Millisecond, 40 * time.Millisecond},
		acts: map[string]int{"getOrLoad": 100, "lookup": 100, "burst": 10, "expireTags": 4, "expireAll": 1},
	},
	// Everything is invalidated while tags are, and the report of that is late.
	"clears": {
		keys: 60, tags: 6, lag: lag{Stream: 100 * time.Millisecond},
		acts: map[string]int{"getOrLoad": 60, "lookup": 60, "burst": 10, "invalidateTags": 20, "clear": 4},
	},
	// Redis loses the records of tags.
	"lost tags": {
		keys: 150, tags: 12, faults: []string{"lose tags"},
		acts: map[string]int{"getOrLoad": 10, "lookup": 60, "burst": 20, "invalidateTags": 1},
	},
	// Connections break while keys are being written.
	"reconnect": {
		keys: 200, caches: longLived, faults: []string{"refuse", "kill streams"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 20, "delete": 2, "set": 2},
	},
	// Workers are killed, and new ones open their caches while others change the values.
	"new caches": {
		keys: 30, caches: longLived, faults: []string{"kill a worker"}, think: 2 * time.Millisecond,
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "delete": 3, "set": 3},
	},
	// Redis loses all data, and reports only the flush. There are no tags: a read of a new tag would notice that the epoch is
	// gone and begin a new one, which Redis reports.
	"flushes": {
		keys: 200, caches: longLived, untagged: true, faults: []string{"flush"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 10},
	},
	// The same, but Redis reports nothing.
	"swaps": {
		keys: 200, caches: longLived, untagged: true, faults: []string{"swap"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 10},
	},
	// No replies or invalidations arrive for a while, or the process is frozen.
	"silence": {
		keys: 200, caches: longLived, faults: []string{"stall", "stall replies", "freeze a worker"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 20, "delete": 2, "set": 2},
	},
	// Invalidations always arrive, but later than Delta.
	"late stream": {
		keys: 60, caches: longLived, lag: lag{Stream: 450 * time.Millisecond},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 20, "delete": 1, "set": 1},
	},
	// One worker after the other is replaced by one of the next release, which has values of another type.
	"deploys": {
		keys: 60, faults: []string{"deploy"}, think: 5 * time.Millisecond,
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "getMany": 10, "burst": 5, "set": 2, "refresh": 2, "delete": 2, "expire": 3},
	},
	// The source is slow, and callers don't wait for it.
	"overload": {
		keys: 300, load: span{100 * time.Millisecond, 300 * time.Millisecond}, maxLoads: 2,
		acts: map[string]int{"getOrLoad": 40, "impatient": 40, "getOrLoadMany": 10, "refresh": 5, "delete": 10},
	},
	// Another server becomes the master, and the streams stay connected to the old one.
	"failover": {
		keys: 200, caches: longLived, faults: []string{"failover"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 20, "delete": 2, "set": 2},
	},
}

// longLived has the indexes of a cache with a long LocalTTL for each of a worker's two tiered.Redis.
var longLived = []int{0, 2}

// On returns the options of a run with the focus. It returns an error if there is no focus of that name.
func (o Options) On(name string) (Options, error) {
	f, ok := focuses[name]
	if !ok {
		return o, fmt.Errorf("chaos: focus %q: want one of %s", name, strings.Join(slices.Sorted(maps.Keys(focuses)), ", "))
	}
	o.Focus, o.MaxCost, o.MaxLoads = name, 0, f.maxLoads
	if f.keys > 0 {
		o.Keys = f.keys
	}
	if f.tags > 0 {
		o.Tags = f.tags
	}
	if f.think > 0 {
		o.Think = f.think
	}
	return o, nil
}

func (o Options) focus() focus { return focuses[o.Focus] }
