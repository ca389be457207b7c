//go:build !windows

package chaos_test

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/chaos"
)

var (
	flagTime     = flag.Duration("chaos.time", 10*time.Second, "how long each topology's run takes")
	flagSeed     = flag.Uint64("chaos.seed", 1, "of operations and faults")
	flagTopology = flag.String("chaos.topology", "all", "single, sentinel, cluster or all")
	flagWorkers  = flag.Int("chaos.workers", 3, "processes that use caches")
	flagFocus    = flag.String("chaos.focus", "", "a workload that exposes one kind of bug; see focus.go")
	flagTimeout  = flag.Duration("chaos.timeout", 100*time.Millisecond, "RedisOptions.Timeout")
)

func TestChaos(t *testing.T) {
	all := []chaos.Topology{chaos.Single, chaos.Sentinel, chaos.Cluster}
	if testing.Short() {
		all = all[:1]
	}
	if *flagTopology != "all" {
		all = nil
		for name := range strings.SplitSeq(*flagTopology, ",") {
			all = append(all, chaos.Topology(name))
		}
	}
	for _, topology := range all {
		t.Run(string(topology), func(t *testing.T) {
			o := chaos.Defaults(topology, *flagSeed)
			o.Time, o.Workers, o.Timeout = *flagTime, *flagWorkers, *flagTimeout
			if *flagFocus != "" {
				var err error
				if o, err = o.On(*flagFocus); err != nil {
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
		})
	}
}
