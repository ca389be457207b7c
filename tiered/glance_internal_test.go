package tiered

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// A caller that finds Redis silent only after it has begun a flight is served what isn't proved, and that is counted.
func TestServedUnverifiedInAFlight(t *testing.T) {
	c := openOn(t, redistest.Start(t).Client(t), Policy{})
	hash := c.hash("k")
	mine := &bonds{proof: newProof(now().add(time.Hour)), stream: new(stream)} // of which nobody else hears anything
	it := c.local.newItem("k", hash, newRecord("v", false, c.policy, marks{}), *mine, now().add(time.Hour))
	c.local.set(hash, it)
	if c.local.get("k", hash, now(), nil) == nil {
		t.Fatal("no local hit")
	}
	before := c.Stats().Unverified
	f, _ := c.guards.join(t.Context(), "k", hash, asked, &fleet[string]{pilot: new(pilot)})
	defer c.guards.leave(f)
	it.proof.end()
	if r := c.inside(f, now()); r != nil {
		t.Errorf("served %q though Redis may answer", r.value)
	}
	it.stream.silent.Store(true)
	if r := c.inside(f, now()); r == nil || c.Stats().Unverified != before+1 {
		t.Errorf("%v, %d served unverified", r, c.Stats().Unverified-before)
	}
}
