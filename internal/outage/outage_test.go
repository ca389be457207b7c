//go:build !windows

package outage_test

import (
	"flag"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/outage"
	"github.com/tiercache/tiercache/internal/redistest"
)

// shortTime is how long a fault lasts unless the flag says otherwise.
const shortTime = 2 * time.Second

var (
	flagTime = flag.Duration("outage.time", shortTime, "how long each fault lasts")
	flagSeed = flag.Uint64("outage.seed", 1, "of calls and faults")
)

// The scenarios don't run in parallel, since goroutines and the heap are measured. A call that takes longer than it may is a finding if
// that happens in a second run too: other programs can delay one by more than the noise that was measured. The race detector delays all.
func TestOutage(t *testing.T) {
	for _, s := range outage.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			o := outage.Options{Time: *flagTime, Seed: *flagSeed}
			report := outage.Run(t, s, o)
			t.Log("\n" + report.String())
			if report.OnlySlow() {
				t.Log(report.Findings())
				if redistest.RaceDetector {
					return
				}
				report = outage.Run(t, s, o)
				t.Log("\n" + report.String())
			}
			for _, finding := range report.Findings() {
				t.Error(finding)
			}
		})
	}
}
