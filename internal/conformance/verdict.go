package main

import (
	"encoding/json"
	"fmt"
	"slices"
)

// verdict is what the suite's own pages show for a test.
type verdict string

const (
	untested   verdict = "untested"
	pass       verdict = "pass"       // of a required or an optimal test
	fail       verdict = "fail"       // of a required test
	suboptimal verdict = "suboptimal" // an optimal test fails
	yes        verdict = "yes"        // of a check, which is neither good nor bad
	no         verdict = "no"
	setup      verdict = "setup"      // it didn't come to what is tested
	retried    verdict = "retried"    // the proxy sent a request twice
	dependency verdict = "dependency" // a test that this one builds on doesn't pass
)

var verdicts = []verdict{untested, pass, fail, suboptimal, yes, no, setup, retried, dependency}

// passed is what a test has that others build on.
func (v verdict) passed() bool { return v == pass || v == yes }

// Kinds of tests.
const (
	required = "required"
	optimal  = "optimal"
	check    = "check"
)

// test is one of the suite's.
type test struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`
	DependsOn []string `json:"depends_on"`
}

// kind fills in the suite's default.
func (t test) kind() string {
	if t.Kind == "" {
		return required
	}
	return t.Kind
}

// group is what the suite calls a suite: tests of one subject.
type group struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Tests []test `json:"tests"`
}

// result is what came of running a test: true, or a pair of an error's name and its message.
type result struct {
	OK            bool
	Name, Message string
}

// UnmarshalJSON reads either form.
func (r *result) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &r.OK) == nil {
		return nil
	}
	var pair []*string
	if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
		return fmt.Errorf("a result is %s: want true or a name and a message", b)
	}
	for i, s := range []*string{&r.Name, &r.Message} {
		if pair[i] != nil {
			*s = *pair[i]
		}
	}
	return nil
}

// outcome is the suite's tests, and what came of those that ran.
type outcome struct {
	Groups  []group           `json:"groups"`
	Results map[string]result `json:"results"`
}

// forgive takes what another run of some tests, with those they build on, made better.
func (o *outcome) forgive(other *outcome) {
	for id, r := range other.Results {
		if r.OK {
			o.Results[id] = r
		}
	}
}

// verdicts scores as determineTestResult in the suite's lib/display.mjs does.
func (o *outcome) verdicts() map[string]verdict {
	tests := make(map[string]test)
	for _, g := range o.Groups {
		for _, t := range g.Tests {
			tests[t.ID] = t
		}
	}
	s := scorer{tests: tests, results: o.Results, verdicts: make(map[string]verdict)}
	for id := range tests {
		s.verdict(id)
	}
	return s.verdicts
}

type scorer struct {
	tests    map[string]test
	results  map[string]result
	verdicts map[string]verdict // so far
}

func (s *scorer) verdict(id string) verdict {
	if v, ok := s.verdicts[id]; ok {
		return v
	}
	s.verdicts[id] = untested // should tests ever depend on each other in a circle
	v := s.score(id)
	s.verdicts[id] = v
	return v
}

func (s *scorer) score(id string) verdict {
	r, ok := s.results[id]
	if !ok {
		return untested
	}
	t := s.tests[id]
	if slices.ContainsFunc(t.DependsOn, func(id string) bool { return !s.verdict(id).passed() }) {
		return dependency
	}
	switch {
	case r.Name == "Setup" && r.Message == "retry":
		return retried
	case r.Name == "Setup":
		return setup
	case t.kind() == check && r.OK:
		return yes
	case t.kind() == check:
		return no
	case r.OK:
		return pass
	case t.kind() == optimal:
		return suboptimal
	}
	return fail
}
