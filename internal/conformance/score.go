package main

import "fmt"

// score sums up the verdicts of a group, or of all tests.
type score struct {
	required   tally // without the impossible ones
	impossible tally // the expected failures
	optimal    tally
	checks     int
	yes, no    int // of the checks; the others have no result
}

// tally counts tests, and those that pass.
type tally struct{ passed, all int }

func (t *tally) add(v verdict) {
	t.all++
	if v == pass {
		t.passed++
	}
}

func (t tally) String() string {
	if t.all == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", t.passed, t.all)
}

func (s *score) add(t test, v verdict) {
	_, impossible := expected[t.ID]
	switch {
	case impossible:
		s.impossible.add(v)
	case t.kind() == required:
		s.required.add(v)
	case t.kind() == optimal:
		s.optimal.add(v)
	default:
		s.checks++
		switch v {
		case yes:
			s.yes++
		case no:
			s.no++
		}
	}
}

func (s *score) answers() string {
	if s.checks == 0 {
		return ""
	}
	return fmt.Sprintf("%d yes %d no", s.yes, s.no)
}

// String returns one line.
func (s *score) String() string {
	return fmt.Sprintf("required %d of %d that can pass (and %d of %d that can't), optimal %d of %d, checks %d yes, %d no, %d undecided",
		s.required.passed, s.required.all, s.impossible.passed, s.impossible.all, s.optimal.passed, s.optimal.all,
		s.yes, s.no, s.checks-s.yes-s.no)
}
