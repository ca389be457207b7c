//go:build !windows

package outage_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/outage"
)

// coldLimit is what the source of a cold start can serve.
const coldLimit = 16

// A process begins with an empty local tier under full traffic, and Redis has the values, or was flushed. With a limit of loads the source
// is never asked for more than that. How soon calls are answered depends on the machine, too: a short run checks only the limit. A longer
// one, as of make outage, shows a run without the limit beside it.
func TestColdStart(t *testing.T) {
	o := outage.Options{Time: *flagTime, Seed: *flagSeed}
	for name, flushed := range map[string]bool{"new process": false, "flushed": true} {
		t.Run(name, func(t *testing.T) {
			limited := outage.RunColdStart(t, flushed, coldLimit, o)
			t.Logf("MaxLoads %d: %v", coldLimit, limited)
			if limited.Peak > coldLimit {
				t.Errorf("%d loads at a time", limited.Peak)
			}
			if o.Time <= shortTime {
				return
			}
			free := outage.RunColdStart(t, flushed, -1, o)
			t.Logf("without a limit: %v", free)
			if flushed && free.Curve.Share() > limited.Curve.Share() {
				t.Error("the limit is of no use")
			}
		})
	}
}

// Without Redis, and with a clock that doesn't depend on the machine. The longer the source takes, the more callers give up while the load
// waits in the queue. Since the keys with the most callers are loaded first, more calls are answered than in the order in which they came:
// that would be 97, 73, 68 and 49% of them.
func TestColdStartAlone(t *testing.T) {
	for _, tc := range []struct {
		takes time.Duration // a load
		least float64       // the share of calls that must be answered
	}{{10 * time.Millisecond, 0.96}, {50 * time.Millisecond, 0.74}, {100 * time.Millisecond, 0.69}, {200 * time.Millisecond, 0.58}} {
		t.Run(tc.takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limited := outage.ColdStartAlone(t, tc.takes, coldLimit, outage.Options{Seed: 1})
				t.Logf("MaxLoads %d: %v", coldLimit, limited)
				if share := limited.Curve.Share(); limited.Peak > coldLimit || share < tc.least {
					t.Errorf("%d loads at a time, %.1f%% of the calls were answered", limited.Peak, 100*share)
				}
				free := outage.ColdStartAlone(t, tc.takes, -1, outage.Options{Seed: 1})
				t.Logf("without a limit: %v", free)
				if free.Curve.Share() > limited.Curve.Share()-0.1 {
					t.Error("the limit is of no use")
				}
			})
		})
	}
}
