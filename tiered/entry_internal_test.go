package tiered

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

func TestState(t *testing.T) {
	const created, until = mono.Instant(time.Second), mono.Instant(time.Minute)
	for _, test := range []struct {
		absent bool
		at     mono.Instant
		want   State
	}{
		{false, created, Fresh},
		{false, until - 1, Fresh},
		{false, until, Stale},
		{false, until + 1, Stale},
		{true, created, NotFound},
		{true, until - 1, NotFound},
		{true, until, Stale},
	} {
		r := record.Record[int]{Created: created, FreshUntil: until, Meta: &record.Meta{Absent: test.absent}}
		if got := stateOf(&r, test.at); got != test.want {
			t.Errorf("absent %v at %v: %v, want %v", test.absent, time.Duration(test.at), got, test.want)
		}
	}
}

func TestEntryOf(t *testing.T) {
	r := record.Record[int]{Value: 7, Created: mono.Instant(time.Minute), FreshUntil: mono.Instant(time.Hour), Meta: &record.Meta{Stamp: coherence.Stamp{Tags: []string{"a"}}}}
	e := entryOf(&r, "k", Policy{TTL: 1}, Local, mono.Instant(2*time.Minute))
	if e.Key != "k" || e.Value != 7 || !e.Found || e.Policy.TTL != 1 || len(e.Tags) != 1 || e.Age != time.Minute || e.Tier != Local || e.State != Fresh {
		t.Errorf("%+v", e)
	}
	if e := entryOf(&r, "k", Policy{}, Remote, 0); e.Age != 0 {
		t.Errorf("created in the future: age %v", e.Age)
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]string{
		"none": Tier(0).String(), "local": Local.String(), "remote": Remote.String(),
		"fresh": Fresh.String(), "stale": Stale.String(), "not found": NotFound.String(),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if Tier(99).String() != "none" || State(99).String() != "none" {
		t.Error(Tier(99), State(99))
	}
}
