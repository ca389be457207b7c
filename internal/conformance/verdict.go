package main

import (
	"encoding/json"
	"fmt"
	"slices"
)

// verdict is the result of a test, as the suite's own pages show it.
type verdict string

const (
	untested   verdict = "untested"
	pass       verdict = "pass"       // of a required or an optimal test
	fail       verdict = "fail"       // of a required test
	suboptimal verdict = "suboptimal" // an optimal test fails
	yes        verdict = "yes"        // of a check, which is neither good nor bad
	no         verdict = "no"
	setup      verdict = "setup"      // the test failed before the behaviour that it tests
	retried    verdict = "retried"    // the proxy sent a request twice
	dependency verdict = "dependency" // a test that this one depends on doesn't pass
)

var verdicts = []verdict{untested, pass, fail, suboptimal, yes, no, setup, retried, dependency}

// passed reports whether tests that depend on a test with this verdict may pass.
func (v verdict) passed() bool { return v == pass || v == yes }

// Kinds of tests.
const (
	required = "required"
	optimal  = "optimal"
	check    = "check"
)

// test is a test of the suite.
type test struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`
	DependsOn []string `json:"depends_on"`
}

// kind returns the kind, or the suite's default if there is none.
func (t test) kind() string {
	if t.Kind == "" {
		return required
	}
	return t.Kind
}

// group is a set of tests of one subject. The suite calls it a suite.
type group struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Tests []test `json:"tests"`
}

// result is the result of running a test: true, or a pair of an error's name and its message.
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

// outcome has the suite's tests, and the results of those that ran.
type outcome struct {
	Groups  []group           `json:"groups"`
	Results map[string]result `json:"results"`
}

// mergePasses adds the tests that pass in another run.
func (o *outcome) mergePasses(other *outcome) {
	for id, r := range other.Results {
		if r.OK {
			o.Results[id] = r
		}
	}
}

// verdicts computes verdicts as determineTestResult in the suite's lib/display.mjs does.
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
	s.verdicts[id] = untested // in case tests depend on each other
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
