//go:build !windows

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// focus is a workload of what one weakness takes to show, and of nothing else, so that it shows within seconds. What is
// zero is as in a run without.
type focus struct {
	keys, tags int
	caches     []int          // places in the roster
	acts       map[string]int // their weights
	faults     []string       // none: there are none
	untagged   bool
	load       span // what the source takes for each; all succeed
	lag        lag
	think      time.Duration
}

// focuses by name, none of which has foreign writers.
var focuses = map[string]focus{
	// Calls overtake each other, and invalidations are late, so that writes and fills have to do without.
	"fills": {
		keys: 12, caches: keepers, lag: lag{Stream: 40 * time.Millisecond, Data: 4 * time.Millisecond},
		acts: map[string]int{"lookup": 40, "getOrLoad": 30, "burst": 20, "rewrite": 5, "delete": 5},
	},
	// Calls overtake each other, and invalidations are early, so that they overtake replies.
	"late replies": {
		keys: 150, caches: keepers, lag: lag{Data: 6 * time.Millisecond}, think: 5 * time.Millisecond,
		acts: map[string]int{"lookup": 60, "getOrLoad": 30, "burst": 20, "rewrite": 2},
	},
	// Keys are deleted while they are being loaded.
	"leases": {
		keys: 12, load: span{20 * time.Millisecond, 150 * time.Millisecond},
		acts: map[string]int{"getOrLoad": 60, "lookup": 30, "delete": 5},
	},
	// Callers leave their loads, which go on while the memory of the keys has other keys.
	"reused memory": {
		keys: 30, load: span{5 * time.Millisecond, 40 * time.Millisecond},
		acts: map[string]int{"impatient": 40, "getOrLoadMany": 10, "lookup": 30, "delete": 5, "set": 5},
	},
	// Many ask for a key that nobody writes.
	"crowds": {
		load: span{20 * time.Millisecond, 60 * time.Millisecond},
		acts: map[string]int{"crowd": 1},
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
	// What Redis knows of tags is lost.
	"lost tags": {
		keys: 150, tags: 12, faults: []string{"lose tags"},
		acts: map[string]int{"getOrLoad": 10, "lookup": 60, "burst": 20, "invalidateTags": 1},
	},
	// Connections break while keys are being written.
	"reconnect": {
		keys: 200, caches: keepers, faults: []string{"refuse", "kill streams"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 20, "delete": 2, "set": 2},
	},
	// All that Redis has is lost, and nothing but that tells of it: who asks for a new tag would find the era gone, and begin
	// one that all hear of.
	"flushes": {
		keys: 200, caches: keepers, untagged: true, faults: []string{"flush"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 10},
	},
	// The same, and Redis tells of nothing.
	"swaps": {
		keys: 200, caches: keepers, untagged: true, faults: []string{"swap"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 10},
	},
	// Redis can't be heard for a while, or the process doesn't run.
	"silence": {
		keys: 200, caches: keepers, faults: []string{"stall", "stall replies", "freeze a worker"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 20, "delete": 2, "set": 2},
	},
	// Redis is always heard, but later than Delta.
	"late stream": {
		keys: 60, caches: keepers, lag: lag{Stream: 450 * time.Millisecond},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 20, "delete": 1, "set": 1},
	},
	// Another server becomes the master, and the streams hang on the old one.
	"failover": {
		keys: 200, caches: keepers, faults: []string{"failover"},
		acts: map[string]int{"lookup": 50, "getOrLoad": 40, "burst": 20, "delete": 2, "set": 2},
	},
}

// keepers are the caches of the roster that keep values locally for long, one for each of a worker's Redises.
var keepers = []int{0, 2}

// span is a least and a most.
type span struct{ least, most time.Duration }

// On returns the options of a run with a focus. Its error is about the name.
func (o Options) On(name string) (Options, error) {
	f, ok := focuses[name]
	if !ok {
		return o, fmt.Errorf("chaos: focus %q: want one of %s", name, strings.Join(slices.Sorted(maps.Keys(focuses)), ", "))
	}
	o.Focus, o.MaxCost = name, 0
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

// acts are those that the run is made of, and the sum of their weights.
func (o Options) acts() (todo []act, total int) {
	todo = acts
	if o.Focus != "" {
		todo = nil
		weights := o.focus().acts
		for _, act := range slices.Concat(acts, rareActs) {
			if act.weight = weights[act.name]; act.weight > 0 {
				todo = append(todo, act)
			}
		}
	}
	for _, act := range todo {
		total += act.weight
	}
	return todo, total
}

// faults are those that the run has.
func (o Options) faults() []fault {
	named := o.focus().faults
	all := faults()
	if o.Focus != "" {
		all = append(all, rareFaults()...)
	}
	return slices.DeleteFunc(all, func(f fault) bool {
		return f.in != nil && !slices.Contains(f.in, o.Topology) || o.Focus != "" && !slices.Contains(named, f.name)
	})
}

// members are those of a worker's caches that the run is about.
func (o Options) members(all []*member) []*member {
	places := o.focus().caches
	if places == nil {
		return all
	}
	some := make([]*member, len(places))
	for i, at := range places {
		some[i] = all[at]
	}
	return some
}
