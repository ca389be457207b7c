package tiered

import (
	"context"
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

// What a batch has from one server doesn't wait for another that is late, and lets go of what it was read with.
func TestLateServerInABatch(t *testing.T) {
	client := redistest.Start(t).Client(t)
	c := openOn(t, client, Policy{})
	keys := []string{"a", "late", "b"}
	for _, key := range keys {
		if err := c.Set(t.Context(), key, key); err != nil {
			t.Fatal(err)
		}
	}
	fl := fleet[string]{pilot: new(pilot), size: len(keys)}
	flights := make([]*flight[string], len(keys))
	for i, key := range keys {
		flights[i], _ = c.guards.join(t.Context(), key, c.hash(key), asked, &fl)
	}
	redisKeys := []string{c.remote.space + "a", c.remote.space + "b"}
	here := &reading{taken: true, answers: c.remote.redis.do(t.Context(), c.remote.redis.reads(redisKeys))}
	flights[0].given, flights[2].given = share{here, 0}, share{here, 1}
	flights[1].given = share{&reading{done: make(chan struct{})}, 0}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	g := glance[string]{cache: c, ctx: over}
	g.lookOutside(flights)
	g.land()
	if len(g.rest) != 1 || g.rest[0] != flights[1] {
		t.Errorf("%d flights are left to the trip", len(g.rest))
	}
	for _, f := range g.rest {
		c.land(f, nil, errGoexit)
	}
	for i, f := range []*flight[string]{flights[0], flights[2]} {
		if f.record == nil || f.record.value != []string{"a", "b"}[i] {
			t.Errorf("%v", f.record)
		}
		if f.given.reading != nil {
			t.Errorf("%s: all that was read with it is kept", f.key)
		}
	}
	noGuards(t, c)
}
