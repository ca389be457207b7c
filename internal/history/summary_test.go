package history_test

import (
	"strings"
	"testing"

	"github.com/tiercache/tiercache/internal/history"
)

func TestSummaryString(t *testing.T) {
	t.Parallel()
	s := newScenario()
	s.read.Start, s.read.End, s.read.Tier = 5_000_040, 5_001_040, history.Local
	got := s.check().String()
	want := `operations: Read 1, Load 1, Delete 1
checks that could have failed: G2 1, identity 1
largest staleness: 5ms, Delta is 100ns
excused: none
violations: 1: G2 1
G2: seen 5ms after it was invalidated, at most 110ns are allowed
  process 1: Load "k" tags ["a" "b"] (#1), from -5.00003ms for 10ns
  process 1: Delete "k" (#2), from -5.00001ms for 10ns
  process 2: Read "k" = 1, tier Local (#3), from 5000040 ns for 1µs
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}

	s = newScenario()
	for range 24 {
		s.add(s.read)
	}
	got = s.check().String()
	if n := strings.Count(got, "\nG1: "); n != 20 || !strings.HasSuffix(got, "and 5 more\n") {
		t.Errorf("%d shown:\n%s", n, got)
	}

	got = history.Check(&history.Record{}).String()
	if !strings.Contains(got, "operations: none\n") || !strings.HasSuffix(got, "violations: none\n") {
		t.Error(got)
	}
}
