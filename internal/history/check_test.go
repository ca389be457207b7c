package history_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// scenario is a value that is made, invalidated and read, in a run with a Delta of 100 ns, a Slack of 10 and a Lease of
// 50. Each case changes something about it.
type scenario struct {
	history.Record
	made, write, read history.Op
}

func newScenario() *scenario {
	return &scenario{
		Record: history.Record{Delta: 100, Slack: 10, Lease: 50},
		made:   history.Op{ID: 1, Process: 1, Kind: history.Load, Key: "k", Tags: []string{"a", "b"}, Start: 10, End: 20, OK: true},
		write:  history.Op{ID: 2, Process: 1, Kind: history.Delete, Key: "k", Start: 30, End: 40, OK: true},
		read:   history.Op{ID: 3, Process: 2, Kind: history.Read, Key: "k", Start: 1000, End: 1010, OK: true, Value: 1, Tier: history.Remote},
	}
}

func (s *scenario) add(op history.Op) { s.Ops = append(s.Ops, op) }

func (s *scenario) check() history.Summary {
	s.Ops = append(s.Ops, s.made, s.write, s.read)
	return history.Check(&s.Record)
}

// found returns the violated guarantees, in order.
func found(s history.Summary) string {
	var names []string
	for _, v := range s.Violations {
		names = append(names, v.Guarantee)
	}
	return strings.Join(names, " ")
}

type scenarioCase struct {
	name string
	edit func(*scenario)
	want string
}

func runCases(t *testing.T, before func(*scenario), cases []scenarioCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScenario()
			before(s)
			c.edit(s)
			if sum := s.check(); found(sum) != c.want {
				t.Errorf("found %q, want %q\n%v", found(sum), c.want, sum)
			}
		})
	}
}

func as(kind history.Kind) func(*scenario) {
	return func(s *scenario) {
		s.write.Kind = kind
		switch kind {
		case history.InvalidateTags:
			s.write.Key, s.write.Tags = "", []string{"c", "b"}
		case history.Clear:
			s.write.Key = ""
		}
	}
}

func set(s *scenario) { s.made.Kind = history.Set }

// The conditions under which an invalidation hides a value. They are the same for all guarantees.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	runCases(t, func(*scenario) {}, []scenarioCase{
		{"delete", as(history.Delete), "G1"},
		{"expire", as(history.Expire), "G1"},
		{"set", as(history.Set), "G1"},
		{"tags", as(history.InvalidateTags), "G2"},
		{"tags within delta", func(s *scenario) { as(history.InvalidateTags)(s); s.read.Start = 150 }, ""},
		{"clear", as(history.Clear), "G2"},
		{"clear within delta", func(s *scenario) { as(history.Clear)(s); s.read.Start = 150 }, ""},
		{"foreign flush", func(s *scenario) { as(history.Clear)(s); s.write.Process = -1 }, "G2"},
		{"clear of a foreign value", func(s *scenario) { as(history.Clear)(s); set(s); s.made.Process = -1 }, ""},
		{"flush of a foreign value", func(s *scenario) { as(history.Clear)(s); set(s); s.made.Process, s.write.Process = -1, -1 }, "G2"},
		{"foreign delete", func(s *scenario) { s.write.Process = -1 }, "G1"},
		{"a load doesn't invalidate", as(history.Load), ""},
		{"a read doesn't invalidate", func(s *scenario) { s.write.Kind, s.write.Value = history.Read, 1 }, ""},
		{"another key", func(s *scenario) { s.write.Key = "l" }, ""},
		{"another key expired", func(s *scenario) { as(history.Expire)(s); s.write.Key = "l" }, ""},
		{"another tag", func(s *scenario) { as(history.InvalidateTags)(s); s.write.Tags = []string{"c"} }, ""},
		{"no tags", func(s *scenario) { as(history.InvalidateTags)(s); s.made.Tags = nil }, ""},
		{"a write failed", func(s *scenario) { s.write.OK = false }, ""},
		{"a write never returned", func(s *scenario) { s.write.End = 0 }, ""},
		{"a read failed", func(s *scenario) { s.read.OK = false }, ""},
		{"the read began when it ended", func(s *scenario) { s.read.Start = 40 }, ""},
		{"the read began after it ended", func(s *scenario) { s.read.Start = 41 }, "G1"},
		{"the load began when it was called", func(s *scenario) { s.made.Start = 30 }, ""},
		{"the load began before it was called", func(s *scenario) { s.made.Start = 29 }, "G1"},
		{"the load was under way all the time", func(s *scenario) { s.made.End = 2000 }, "G1"},
		{"the load's process was killed", func(s *scenario) { s.made.End, s.made.OK = 0, false }, "G1"},
		{"a set ended before it was called", func(s *scenario) { set(s); s.made.End = 29 }, "G1"},
		{"a set ended when it was called", func(s *scenario) { set(s); s.made.End = 30 }, ""},
		{"a set failed", func(s *scenario) { set(s); s.made.OK = false }, ""},
		{"a set never returned", func(s *scenario) { set(s); s.made.End = 0 }, ""},
		{"a set doesn't hide its own value", func(s *scenario) { as(history.Set)(s); s.read.Value = 2 }, ""},
		{"the first of several", func(s *scenario) {
			s.write.End = 2000
			s.add(history.Op{ID: 8, Kind: history.Delete, Key: "k", Start: 31, End: 50, OK: true})
			s.add(history.Op{ID: 9, Kind: history.Expire, Key: "k", Start: 32, End: 3000, OK: true})
		}, "G1"},
		{"none of several", func(s *scenario) {
			s.write.End = 2000
			s.add(history.Op{ID: 8, Kind: history.Delete, Key: "k", Start: 5, End: 8, OK: true})
			s.add(history.Op{ID: 9, Kind: history.Expire, Key: "k", Start: 32, End: 3000, OK: true})
		}, ""},
	})
}

func TestLost(t *testing.T) {
	t.Parallel()
	runCases(t, func(s *scenario) { s.Lost = map[int64]string{2: "not in the new master's log"} }, []scenarioCase{
		{"delete", func(*scenario) {}, ""},
		{"another was kept", func(s *scenario) {
			s.add(history.Op{ID: 8, Kind: history.Expire, Key: "k", Start: 50, End: 60, OK: true})
		}, "G1"},
		{"own", func(s *scenario) { s.read.Process, s.read.Tier = 1, history.Local }, ""},
		{"other's", func(s *scenario) { s.read.Tier = history.Local }, ""},
	})
	excused := func(edit func(*scenario)) int {
		s := newScenario()
		s.Lost = map[int64]string{2: "evidence"}
		edit(s)
		return s.check().Excused["lost write"]
	}
	if n := excused(func(*scenario) {}); n != 1 {
		t.Errorf("%d excused, want 1", n)
	}
	if n := excused(func(s *scenario) { s.read.Start = 40 }); n != 0 {
		t.Errorf("%d excused where nothing was wrong", n)
	}
	if n := excused(func(s *scenario) { s.read.Tier, s.read.Start = history.Local, 150 }); n != 0 {
		t.Errorf("%d excused within Delta", n)
	}
	if n := excused(func(s *scenario) { s.add(s.write); s.Ops[0].ID = 8 }); n != 0 {
		t.Errorf("%d excused that are violations", n)
	}
}

func TestBoundedStaleness(t *testing.T) {
	t.Parallel()
	runCases(t, func(s *scenario) { s.read.Tier, s.read.Start = history.Local, 151 }, []scenarioCase{
		{"too late", func(*scenario) {}, "G2"},
		{"just in time", func(s *scenario) { s.read.Start = 150 }, ""},
		{"delta", func(s *scenario) { s.Delta++ }, ""},
		{"slack", func(s *scenario) { s.Slack++ }, ""},
		{"unknown tier", func(s *scenario) { s.read.Tier = history.Unknown }, "G2"},
		{"unknown tier in time", func(s *scenario) { s.read.Tier, s.read.Start = history.Unknown, 150 }, ""},
		{"foreign", func(s *scenario) { s.write.Process = -1 }, "G2"},
		{"foreign flush", func(s *scenario) { as(history.Clear)(s); s.write.Process = -1 }, "G2"},
		{"tags", as(history.InvalidateTags), "G2"},
		{"the first ended is its own", func(s *scenario) {
			s.read.Start = 150
			s.add(history.Op{ID: 8, Process: 2, Kind: history.Delete, Key: "k", Start: 31, End: 35, OK: true})
		}, "G3"},
		{"the first ended is its own, the next is another's", func(s *scenario) {
			s.add(history.Op{ID: 8, Process: 2, Kind: history.Delete, Key: "k", Start: 31, End: 35, OK: true})
		}, "G2 G3"},
		{"a foreign reader has no local tier", func(s *scenario) { s.read.Process, s.read.Start = -1, 41 }, "G1"},
	})
	runCases(t, func(s *scenario) { s.read.Tier, s.read.Start = history.Unknown, 1000 }, []scenarioCase{
		{"own load under way", func(s *scenario) { s.made.Process, s.made.End = 2, 1000 }, ""},
		{"own load being stored", func(s *scenario) { s.made.Process, s.made.End = 2, 890 }, ""},
		{"own load long stored", func(s *scenario) { s.made.Process, s.made.End = 2, 889 }, "G2"},
		{"own load being stored when it was called", func(s *scenario) {
			s.made.Process, s.made.End, s.write.Start, s.write.End, s.read.Start = 2, 60, 61, 62, 173
		}, "G2"},
		{"own load whose end wasn't recorded", func(s *scenario) { s.made.Process, s.made.End = 2, 0 }, ""},
		{"another's load under way", func(s *scenario) { s.made.End = 1000 }, ""},
		{"another's load that ended", func(s *scenario) { s.made.End = 999 }, "G2"},
		{"another's load whose end wasn't recorded", func(s *scenario) { s.made.End = 0 }, "G2"},
		{"local tier, own load under way", func(s *scenario) {
			s.made.Process, s.made.End, s.read.Tier = 2, 1000, history.Local
		}, "G2"},
		{"a set can't be joined", func(s *scenario) { set(s); s.made.Process = 2 }, "G2"},
	})
}

func TestOutage(t *testing.T) {
	t.Parallel()
	outage := func(process int, start, end int64) func(*scenario) {
		return func(s *scenario) {
			s.read.Tier, s.read.Start, s.read.End = history.Local, 1000, 1010
			s.Outages = []history.Window{{Process: 7, Start: 0, End: 5000}, {Process: process, Start: start, End: end}}
		}
	}
	runCases(t, func(*scenario) {}, []scenarioCase{
		{"of its process", outage(2, 500, 2000), ""},
		{"of another process", outage(1, 500, 2000), "G2"},
		{"of all", outage(-1, 500, 2000), ""},
		{"just over", outage(2, 500, 889), "G2"},
		{"over less than Delta ago", outage(2, 500, 890), ""},
		{"begins in time", outage(2, 1020, 2000), ""},
		{"begins later", outage(2, 1021, 2000), "G2"},
		{"strict", func(s *scenario) { outage(2, 500, 2000)(s); s.read.Strict = true }, "G2"},
		{"a long one before a short one", func(s *scenario) {
			outage(2, 0, 5000)(s)
			s.Outages = append(s.Outages, history.Window{Process: 2, Start: 10, End: 20})
		}, ""},
		{"no excuse for G1", func(s *scenario) { outage(-1, 500, 2000)(s); s.read.Tier = history.Remote }, "G1"},
		{"no excuse for G3", func(s *scenario) { outage(-1, 500, 2000)(s); s.read.Process = 1 }, "G3"},
	})

	s := newScenario()
	outage(2, 500, 2000)(s)
	if sum := s.check(); sum.Excused["outage"] != 1 || sum.MaxStaleness != 0 || sum.Checks["G2"] != 0 {
		t.Error(sum)
	}
}

func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	tiers := []history.Tier{history.Unknown, history.Local, history.Remote}
	kinds := []history.Kind{history.Set, history.Delete, history.Expire, history.InvalidateTags, history.Clear}
	for _, tier := range tiers {
		for _, kind := range kinds {
			t.Run(fmt.Sprint(kind, tier), func(t *testing.T) {
				want := "G3"
				if tier == history.Remote && kind != history.InvalidateTags && kind != history.Clear {
					want = "G1 G3"
				}
				joined := want
				if tier == history.Unknown && kind != history.Set && kind != history.Delete {
					joined = ""
				}
				own := func(s *scenario) { as(kind)(s); s.read.Process, s.read.Tier, s.read.Start = 1, tier, 41 }
				runCases(t, own, []scenarioCase{
					{"seen", func(s *scenario) { s.made.End = 30 - 1 }, want},
					{"before it returned", func(s *scenario) { s.read.Start = 40 }, ""},
					{"load under way", func(s *scenario) { s.made.End = 41 }, joined},
					{"load that began later", func(s *scenario) { s.made.Start, s.made.End = 35, 41 }, ""},
					{"load of another process", func(s *scenario) { s.made.Process, s.made.End = 3, 40 }, want},
				})
			})
		}
	}
	runCases(t, func(s *scenario) { s.read.Tier, s.read.Start = history.Local, 41 }, []scenarioCase{
		{"another's is not its own", func(*scenario) {}, ""},
		{"two foreign writers are not the same", func(s *scenario) { s.read.Process, s.write.Process, s.read.Tier = -1, -1, history.Remote }, "G1"},
	})
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	runCases(t, func(s *scenario) { s.write.OK = false }, []scenarioCase{
		{"known", func(*scenario) {}, ""},
		{"unknown", func(s *scenario) { s.read.Value = 7 }, "identity"},
		{"another key's", func(s *scenario) { s.made.Key = "l" }, "identity"},
		{"of a delete", func(s *scenario) { s.read.Value = 2 }, "identity"},
		{"of a load that failed", func(s *scenario) { s.made.OK = false }, "identity"},
		{"of a load whose end wasn't recorded", func(s *scenario) { s.made.OK, s.made.End = false, 0 }, ""},
		{"of a set that failed", func(s *scenario) { set(s); s.made.OK = false }, ""},
		{"from the future", func(s *scenario) { s.made.Start, s.made.End = 1011, 1020 }, "identity"},
		{"made meanwhile", func(s *scenario) { s.made.Start, s.made.End = 1010, 1020 }, ""},
		{"two of one ID", func(s *scenario) { s.add(s.made); s.Ops[0].Key = "l" }, "identity"},
	})
}

func TestSchema(t *testing.T) {
	t.Parallel()
	releases := func(made, read int) func(*scenario) {
		return func(s *scenario) { s.Releases = map[int]int{s.made.Process: made, s.read.Process: read} }
	}
	runCases(t, func(s *scenario) { s.write.OK = false }, []scenarioCase{
		{"one", releases(1, 1), ""},
		{"of a later", releases(2, 1), "schema"},
		{"of a former", releases(1, 2), "schema"},
		{"of no release", releases(0, 2), ""},
		{"read in no release", releases(1, 0), ""},
		{"a set", func(s *scenario) { set(s); releases(1, 2)(s) }, "schema"},
	})
}

func TestMaxStaleness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*scenario)
		want time.Duration
	}{
		{"local", func(*scenario) {}, 60},
		{"too long", func(s *scenario) { s.read.Start = 1040 }, 1000},
		{"unknown", func(s *scenario) { s.read.Tier = history.Unknown }, 0},
		{"local, own", func(s *scenario) { s.read.Process = 1 }, 60},
		{"remote", func(s *scenario) { s.read.Tier = history.Remote }, 0},
		{"fresh", func(s *scenario) { s.read.Start = 40 }, 0},
	} {
		s := newScenario()
		s.read.Tier, s.read.Start = history.Local, 100
		c.edit(s)
		if sum := s.check(); sum.MaxStaleness != c.want {
			t.Errorf("%s: %v, want %v", c.name, sum.MaxStaleness, c.want)
		}
	}
}

// A check is counted if an older value would have been a violation.
func TestChecks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tier    history.Tier
		process int
		start   int64
		want    string
	}{
		{history.Remote, 2, 41, "map[G1:1 identity:1]"},
		{history.Remote, 2, 40, "map[identity:1]"},
		{history.Local, 2, 151, "map[G2:1 identity:1]"},
		{history.Local, 2, 150, "map[identity:1]"},
		{history.Local, 1, 41, "map[G3:1 identity:1]"},
	} {
		s := newScenario()
		s.made.Start, s.made.End = 40, 41
		s.read.Tier, s.read.Process, s.read.Start = c.tier, c.process, c.start
		if sum := s.check(); fmt.Sprint(sum.Checks) != c.want || len(sum.Violations) > 0 {
			t.Errorf("%+v: %v", c, sum)
		}
	}
}
