package tiered

import (
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
)

// A caller that finds Redis silent only after it has begun a flight is served what isn't proved, and that is counted.
func TestServedUnverifiedInAFlight(t *testing.T) {
	c := openOn(t, redistest.Start(t).Client(t), Policy{})
	hash := c.hash("k")
	var it *item[string]
	eventually(t, "a local hit", func() bool {
		if err := c.Set(t.Context(), "k", "v"); err != nil {
			t.Fatal(err)
		}
		it = c.local.get("k", hash, now(), nil)
		return it != nil
	})
	before := c.Stats().Unverified
	f, _ := c.guards.join(t.Context(), "k", hash, asked, &fleet[string]{pilot: new(pilot)})
	defer c.guards.leave(f)
	it.proof.end()
	if r := c.inside(f); r != nil {
		t.Errorf("served %q though Redis may answer", r.value)
	}
	it.stream.silent.Store(true)
	if r := c.inside(f); r == nil || c.Stats().Unverified != before+1 {
		t.Errorf("%v, %d served unverified", r, c.Stats().Unverified-before)
	}
}
