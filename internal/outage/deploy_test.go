//go:build !windows

package outage_test

import (
	"testing"

	"github.com/tiercache/tiercache/internal/outage"
)

// While a release is deployed, no process gets a value of the other release's form, and each release loads what it needs about once: the
// former goes on having hits. A longer run, as of make outage, shows a run beside it in which the releases say that they have the
// same schema.
func TestDeploy(t *testing.T) {
	o := outage.Options{Time: *flagTime, Seed: *flagSeed}
	d := outage.RunDeploy(t, true, o)
	t.Log("\n" + d.String())
	if d.Wrong+d.Failed > 0 {
		t.Errorf("%d wrong values, %d failures", d.Wrong, d.Failed)
	}
	for release := range d.Calls {
		if n := d.Loads[release]; n > 2*outage.DeployKeys {
			t.Errorf("release %d: %d loads of %d keys", release, n, outage.DeployKeys)
		}
	}
	if o.Time <= shortTime {
		return
	}
	for release := range d.Calls {
		if d.HitRatio(release) < 0.9 {
			t.Errorf("release %d: %.3f hits", release, d.HitRatio(release))
		}
	}
	beside := outage.RunDeploy(t, false, o)
	t.Log("\n" + beside.String())
	if beside.Wrong == 0 {
		t.Error("releases with the same schema got no wrong values: the run shows nothing")
	}
}
