package inflight_test

import (
	"testing"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
)

// The demand for a flight that waits for a permit follows the calls that join it and give up.
func TestDemand(t *testing.T) {
	tb, _ := open(t)
	joins := func(key string, why inflight.Reason, urgent bool) (*inflight.Flight[string, int], bool) {
		return tb.Join(t.Context(), key, hash(key), why, &options{Owner: new(inflight.Owner), Urgent: urgent})
	}
	wake := make(chan struct{}, 1)
	notified := func() bool {
		select {
		case <-wake:
			return true
		default:
			return false
		}
	}
	check := func(f *inflight.Flight[string, int], want inflight.Demand) {
		t.Helper()
		if d := tb.Demand(f, new(inflight.Permit), wake); d != want {
			t.Errorf("demand %d, want %d", d, want)
		}
	}
	f, _ := joins("k", inflight.ForRead, false)
	check(f, inflight.Wanted)
	joins("k", inflight.ForRead, false)
	tb.GiveUp(f)
	if check(f, inflight.Wanted); notified() {
		t.Error("a call still waits for it")
	}
	tb.GiveUp(f)
	if !notified() {
		t.Error("no call waits for it any more")
	}
	if g, mine := joins("k", inflight.ForRead, false); g != f || mine { // before it was dropped
		t.Error("the flight can still be joined")
	}
	check(f, inflight.Wanted)
	tb.GiveUp(f)
	check(f, inflight.Abandoned)
	g, mine := joins("k", inflight.ForRead, false)
	if !mine {
		t.Error("it joined an abandoned flight")
	}
	check(g, inflight.Wanted)
	notified()
	joins("k", inflight.ForRead, true)
	if !notified() {
		t.Error("a running load waits for it")
	}
	joins("k", inflight.ForRead, true)
	if check(g, inflight.Urgent); notified() {
		t.Error("it was urgent already")
	}
	behind, _ := joins("behind", inflight.ForBackground, false)
	check(behind, inflight.Wanted)
	tb.GiveUp(behind)
	check(behind, inflight.Wanted)
	urgent, _ := joins("urgent", inflight.ForRead, true)
	check(urgent, inflight.Urgent)
}
