//go:build !windows

package chaos

import (
	"slices"
	"testing"

	"github.com/tiercache/tiercache/internal/history"
)

func TestEvidence(t *testing.T) {
	t.Parallel()
	l := loss{
		cutFrom: 100, cutTo: 110, paused: 200, killed: 300, masterOffset: 50, replicaOffset: 40,
		owned:   map[string]bool{"a": true, "b": true},
		master:  map[string]string{redisKey("a"): "new", redisKey("b"): "same", "tc:chaos!tag": "2"},
		replica: map[string]string{redisKey("a"): "old", redisKey("b"): "same"},
	}
	caughtUp := l
	caughtUp.replicaOffset = l.masterOffset
	sameRecords := l
	sameRecords.replica = map[string]string{"tc:chaos!tag": "2"}
	for _, c := range []struct {
		name string
		loss loss
		op   history.Op
		want bool
	}{
		{"within", l, history.Op{Kind: history.Delete, Key: "b", Start: 120, End: 130, OK: true}, true},
		{"acknowledged after the pause began", l, history.Op{Kind: history.Set, Key: "b", Start: 190, End: 210, OK: true}, true},
		{"before", l, history.Op{Kind: history.Delete, Key: "a", Start: 80, End: 99, OK: true}, false},
		{"not acknowledged", l, history.Op{Kind: history.Delete, Key: "b", Start: 120, End: 130}, false},
		{"acknowledged by the next master", l, history.Op{Kind: history.Delete, Key: "b", Start: 120, End: 301, OK: true}, false},
		{"begun when none was possible", l, history.Op{Kind: history.Delete, Key: "b", Start: 201, End: 290, OK: true}, false},
		{"of another master", l, history.Op{Kind: history.Delete, Key: "c", Start: 120, End: 130, OK: true}, false},
		{"at the cut, and missing", l, history.Op{Kind: history.Set, Key: "a", Start: 95, End: 105, OK: true}, true},
		{"at the cut, and there", l, history.Op{Kind: history.Set, Key: "b", Start: 95, End: 105, OK: true}, false},
		{"the replica has all", caughtUp, history.Op{Kind: history.Delete, Key: "b", Start: 120, End: 130, OK: true}, false},
		{"a tag, and its record is missing", l, history.Op{Kind: history.InvalidateTags, Start: 120, End: 130, OK: true}, true},
		{"a tag, and all records are there", sameRecords, history.Op{Kind: history.InvalidateTags, Start: 120, End: 130, OK: true}, false},
		{"a read", l, history.Op{Kind: history.Read, Key: "b", Start: 120, End: 130, OK: true}, false},
	} {
		if why := c.loss.evidence(&c.op); (why != "") != c.want {
			t.Errorf("%s: evidence %q, want some: %t", c.name, why, c.want)
		}
	}
}

func TestDataClients(t *testing.T) {
	t.Parallel()
	const list = "id=1 addr=127.0.0.1:1 name= flags=N cmd=get\n" +
		"id=2 addr=127.0.0.1:2 name= flags=t cmd=ping\n" +
		"id=3 addr=127.0.0.1:3 name=sentinel-0123-cmd flags=N cmd=info\n" +
		"id=4 addr=127.0.0.1:4 name= flags=P cmd=subscribe\n" +
		"id=5 addr=127.0.0.1:5 name= flags=S cmd=replconf\n" +
		"id=6 addr=127.0.0.1:6 name=app flags=N cmd=set\n"
	if got := slices.Collect(dataClients(list)); !slices.Equal(got, []string{"1", "6"}) {
		t.Errorf("data clients are %v, want 1 and 6", got)
	}
}

// The seed determines the outcome of each load.
func TestOutcome(t *testing.T) {
	t.Parallel()
	a, b := &source{seed: 1}, &source{seed: 1}
	for id := range uint64(1000) {
		takes, status := a.outcome(id)
		if again, statusAgain := b.outcome(id); takes != again || status != statusAgain {
			t.Fatalf("load %d: %v and %d, then %v and %d", id, takes, status, again, statusAgain)
		}
	}
}

func TestActs(t *testing.T) {
	t.Parallel()
	sum := 0
	for _, act := range acts {
		sum += act.weight
	}
	if sum != 10_000 {
		t.Errorf("the weights add up to %d, want 10,000", sum)
	}
}

// A focus that names a fault that there isn't would have none.
func TestFaultsOfFocuses(t *testing.T) {
	t.Parallel()
	all := append(faults(), rareFaults()...)
	for name, f := range focuses {
		for _, named := range f.faults {
			if !slices.ContainsFunc(all, func(f fault) bool { return f.name == named }) {
				t.Errorf("focus %q: there is no fault %q", name, named)
			}
		}
	}
}
