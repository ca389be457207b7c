//go:build !windows

package outage_test

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/outage"
	"github.com/tiercache/tiercache/tiered"
)

// Nearly all keys of three processes are invalidated at once, among many more. The source is never asked for more than MaxLoads, each key
// is loaded about once by all processes together, no call fails, and in the end all is local again: RunStorm checks that. How long it
// takes depends on the machine. A longer run, as of make outage, has 100,000 keys and shows a table of each tenth of a second.
func TestStorm(t *testing.T) {
	for mode, invalidation := range map[string]tiered.Invalidation{"tracking": tiered.Tracking, "keys": tiered.TrackingKeys} {
		for _, kind := range outage.StormKinds() {
			t.Run(mode+", "+string(kind), func(t *testing.T) {
				o := outage.StormOptions{
					Options: outage.Options{Time: *flagTime, Seed: *flagSeed}, Kind: kind, Invalidation: invalidation,
					Imported: 5000, Keys: 200, Rate: 500, MaxLoads: 32,
					Timeout: 20 * time.Second, // a Redis that answers late would let processes load without a lease
				}
				if o.Time > shortTime {
					o.Imported, o.Keys, o.Rate, o.MaxLoads, o.Timeout = 100_000, 1000, 2000, 128, 0
				} else {
					t.Parallel()
				}
				t.Log("\n" + outage.RunStorm(t, o).String())
			})
		}
	}
}
