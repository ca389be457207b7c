//go:build !windows

package chaos_test

import (
	"cmp"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/chaos"
	"github.com/tiercache/tiercache/tiered"
)

var (
	flagTime     = flag.Duration("chaos.time", 6*time.Second, "how long each run takes")
	flagSeed     = flag.Uint64("chaos.seed", 1, "of operations and faults")
	flagTopology = flag.String("chaos.topology", "all", "single, sentinel, cluster or all")
	flagWorkers  = flag.Int("chaos.workers", 3, "processes that use caches")
	flagListen   = flag.Int("chaos.listeners", 0, "connections that stand for other processes, and get the same reports as the workers")
	flagFocus    = flag.String("chaos.focus", "", "a workload that exposes one kind of bug; see focus.go")
	flagMode     = flag.String("chaos.mode", "all", "how the caches hear of changes: tracking, keys, pubsub or all")
	flagTimeout  = flag.Duration("chaos.timeout", 100*time.Millisecond, "RedisOptions.Timeout")
)

// Ways to hear of changes, by chaos.mode.
const (
	tracking = "tracking"
	byKey    = "keys"
	pubSub   = "pubsub"
)

var modes = map[string]tiered.Invalidation{tracking: tiered.Tracking, byKey: tiered.TrackingKeys, pubSub: tiered.PubSub}

func TestChaos(t *testing.T) {
	topologies := []chaos.Topology{chaos.Single, chaos.Sentinel, chaos.Cluster}
	names := []string{tracking, byKey, pubSub}
	if testing.Short() {
		topologies, names = topologies[:1], names[:2]
	}
	if *flagTopology != "all" {
		topologies = nil
		for name := range strings.SplitSeq(*flagTopology, ",") {
			topologies = append(topologies, chaos.Topology(name))
		}
	}
	if *flagMode != "all" {
		names = strings.Split(*flagMode, ",")
	}
	for _, topology := range topologies {
		for _, mode := range names {
			t.Run(string(topology)+"/"+mode, func(t *testing.T) { runChaos(t, topology, mode) })
		}
	}
}

func runChaos(t *testing.T, topology chaos.Topology, mode string) {
	o := chaos.Defaults(topology, *flagSeed)
	o.Time, o.Workers, o.Timeout, o.Invalidation = *flagTime, *flagWorkers, *flagTimeout, modes[mode]
	o.Listeners = *flagListen
	focus := *flagFocus
	if mode == pubSub {
		focus = cmp.Or(focus, "reconnect") // nobody reports what other programs do
	}
	if focus != "" {
		var err error
		if o, err = o.On(focus); err != nil {
			t.Fatal(err)
		}
	}
	report := chaos.Run(t, o)
	t.Log("\n" + report.String())
	if n := len(report.Violations); n > 0 {
		t.Errorf("%d violations", n)
	}
	if missing := report.Idle(o.Time >= time.Minute); len(missing) > 0 && o.Focus == "" {
		t.Errorf("the run proves too little: it had no or hardly any %s", strings.Join(missing, ", "))
	}
}
