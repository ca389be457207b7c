package main

import (
	"encoding/json"
	"testing"
)

// document is a small document as client.mjs prints it.
const document = `{
	"groups": [
		{"id": "one", "name": "One", "tests": [
			{"id": "passes", "name": "It passes"},
			{"id": "fails", "name": "It fails", "kind": "required"},
			{"id": "best", "name": "It is good", "kind": "optimal"},
			{"id": "good-enough", "name": "It could be better", "kind": "optimal"},
			{"id": "does", "name": "Does it?", "kind": "check"},
			{"id": "does-not", "name": "Does it not?", "kind": "check"},
			{"id": "not-set-up", "name": "It doesn't come to it", "kind": "check"},
			{"id": "twice", "name": "It is sent twice"},
			{"id": "breaks", "name": "It breaks the harness"}
		]},
		{"id": "two", "name": "Two", "tests": [
			{"id": "on-passes", "name": "Builds on a pass", "depends_on": ["passes", "does"]},
			{"id": "on-fails", "name": "Builds on a failure", "depends_on": ["passes", "fails"]},
			{"id": "on-no", "name": "Builds on a no", "kind": "optimal", "depends_on": ["does-not"]},
			{"id": "on-on-fails", "name": "Builds on what builds on a failure", "kind": "check", "depends_on": ["on-fails"]},
			{"id": "not-set-up-on-fails", "name": "Dependencies come first", "depends_on": ["fails"]},
			{"id": "on-what-didnt-run", "name": "Builds on nothing", "depends_on": ["didnt-run"]},
			{"id": "didnt-run", "name": "It did not run"},
			{"id": "age-parse-float", "name": "It contradicts the RFC"}
		]}
	],
	"results": {
		"passes": true,
		"fails": ["Assertion", "Response 2 comes from cache"],
		"best": true,
		"good-enough": ["Assertion", "Response 2 does not come from cache"],
		"does": true,
		"does-not": ["Assertion", "Response 2 does not come from cache"],
		"not-set-up": ["Setup", "Response 1 status is 502, not 200"],
		"twice": ["Setup", "retry"],
		"breaks": ["TypeError", null],
		"on-passes": true,
		"on-fails": true,
		"on-no": true,
		"on-on-fails": true,
		"not-set-up-on-fails": ["Setup", "Response 1 status is 502, not 200"],
		"on-what-didnt-run": true,
		"age-parse-float": ["Assertion", "Response 2 comes from cache"]
	}
}`

var scored = map[string]verdict{
	"passes": pass, "fails": fail, "best": pass, "good-enough": suboptimal, "does": yes, "does-not": no,
	"not-set-up": setup, "twice": retried, "breaks": fail, "on-passes": pass, "on-fails": dependency, "on-no": dependency,
	"on-on-fails": dependency, "not-set-up-on-fails": dependency, "on-what-didnt-run": dependency, "didnt-run": untested,
	"age-parse-float": fail,
}

func read(t *testing.T, document string) *outcome {
	t.Helper()
	o := new(outcome)
	if err := json.Unmarshal([]byte(document), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestVerdicts(t *testing.T) {
	got := read(t, document).verdicts()
	for id, want := range scored {
		if got[id] != want {
			t.Errorf("%s: %s, want %s", id, got[id], want)
		}
	}
	if len(got) != len(scored) {
		t.Errorf("%d verdicts, want %d", len(got), len(scored))
	}
}

func TestVerdictsOfACircle(t *testing.T) {
	got := read(t, `{
		"groups": [{"id": "g", "tests": [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a"]}]}],
		"results": {"a": true, "b": true}
	}`).verdicts()
	if got["a"] != dependency || got["b"] != dependency {
		t.Errorf("tests that depend on each other: %v", got)
	}
}

func TestResultRefuses(t *testing.T) {
	for _, s := range []string{`"true"`, `["Setup"]`, `["Setup", 1]`, `{}`, `12`} {
		if err := json.Unmarshal([]byte(s), new(result)); err == nil {
			t.Errorf("%s: no error", s)
		}
	}
}

func TestMergePasses(t *testing.T) {
	o := read(t, document)
	o.mergePasses(read(t, `{"results": {"fails": true, "passes": ["Assertion", "hiccup"]}}`))
	got := o.verdicts()
	for id, want := range map[string]verdict{"fails": pass, "passes": pass, "on-fails": pass, "on-on-fails": yes, "breaks": fail} {
		if got[id] != want {
			t.Errorf("%s: %s, want %s", id, got[id], want)
		}
	}
}
