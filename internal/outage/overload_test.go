//go:build !windows

package outage_test

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/outage"
)

// Redis is killed, and the source becomes the slower the more it is asked. With a limit of loads the source is never asked for more
// than that, most calls are answered, and all soon after Redis is back. How many are, and how soon, depends on the machine, too: a
// short run checks only the limit. A longer one, as of make outage, shows a run without the limit beside it.
func TestOverload(t *testing.T) {
	o := outage.Options{Time: *flagTime, Seed: *flagSeed}
	const most = 80
	limited := outage.RunOverload(t, most, o)
	t.Log("\n" + limited.String())
	if limited.Peak > most {
		t.Errorf("%d loads at a time", limited.Peak)
	}
	if o.Time <= shortTime {
		return
	}
	t.Log("\n" + outage.RunOverload(t, -1, o).String())
	if limited.Fault < 0.6 {
		t.Errorf("only %.1f%% of the calls were answered", 100*limited.Fault)
	}
	if limited.Recovered == 0 || limited.Recovered > 2*time.Second {
		t.Errorf("it recovered after %v", limited.Recovered)
	}
}
