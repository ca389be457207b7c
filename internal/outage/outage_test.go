//go:build !windows

package outage_test

import (
	"flag"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/outage"
)

// shortTime is how long a fault lasts unless the flag says otherwise.
const shortTime = 2 * time.Second

var (
	flagTime = flag.Duration("outage.time", shortTime, "how long each fault lasts")
	flagSeed = flag.Uint64("outage.seed", 1, "of calls and faults")
)

// The scenarios don't run in parallel, since goroutines and the heap are measured.
func TestOutage(t *testing.T) {
	for _, s := range outage.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			report := outage.Run(t, s, outage.Options{Time: *flagTime, Seed: *flagSeed})
			t.Log("\n" + report.String())
			for _, finding := range report.Findings() {
				t.Error(finding)
			}
		})
	}
}
