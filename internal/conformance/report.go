package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// report compares a server's verdicts with its baseline.
type report struct {
	server   string
	outcome  *outcome
	verdicts map[string]verdict
	base     map[string]verdict
	ids      []string // the requested tests and groups; empty: all
}

func newReport(server string, o *outcome, base map[string]verdict, ids []string) *report {
	return &report{server: server, outcome: o, verdicts: o.verdicts(), base: base, ids: ids}
}

// tests yields the requested tests with their groups. Other tests ran, too, if a requested one depends on them.
func (r *report) tests(yield func(group, test) bool) {
	for _, g := range r.outcome.Groups {
		for _, t := range g.Tests {
			if len(r.ids) > 0 && !slices.Contains(r.ids, t.ID) && !slices.Contains(r.ids, g.ID) {
				continue
			}
			if !yield(g, t) {
				return
			}
		}
	}
}

// changed returns the tests whose verdict differs from the baseline's, as far as which accepts them.
func (r *report) changed(which func(was, is verdict) bool) []test {
	var tests []test
	for _, t := range r.tests {
		was, ok := r.base[t.ID]
		if is := r.verdicts[t.ID]; ok && was != is && which(was, is) {
			tests = append(tests, t)
		}
	}
	return tests
}

// worse returns the regressions. A check can't regress: neither of its verdicts is good or bad.
func (r *report) worse() []test {
	return r.changed(func(was, _ verdict) bool { return was == pass })
}

func (r *report) better() []test {
	return r.changed(func(_, is verdict) bool { return is == pass })
}

func (r *report) otherwise() []test {
	return r.changed(func(was, is verdict) bool { return was != pass && is != pass })
}

// scores returns the score of each group and, under the name "", of all tests.
func (r *report) scores(verdicts map[string]verdict) map[string]*score {
	scores := map[string]*score{"": {}}
	for g, t := range r.tests {
		if scores[g.ID] == nil {
			scores[g.ID] = new(score)
		}
		scores[g.ID].add(t, verdicts[t.ID])
		scores[""].add(t, verdicts[t.ID])
	}
	return scores
}

func (r *report) writeTable(out io.Writer) {
	is, was := r.scores(r.verdicts), r.scores(r.base)
	line := func(cells ...any) {
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-16s %10s %10s %10s %13s   %8v %8v %13s", cells...), " "))
	}
	fmt.Fprintln(out)
	line(r.server, "", "", "", "", "baseline", "", "")
	line("", "required", "can't pass", "optimal", "checks", "required", "optimal", "checks")
	row := func(name, id string) {
		if s := is[id]; s != nil {
			line(name, s.required, s.impossible, s.optimal, s.answers(),
				was[id].required.passed, was[id].optimal.passed, was[id].answers())
		}
	}
	for _, g := range r.outcome.Groups {
		row(g.ID, g.ID)
	}
	row("all", "")
}

// writeFailures says why tests don't pass. A check with the verdict no isn't a failure, and is only listed if it was requested.
func (r *report) writeFailures(out io.Writer) {
	fmt.Fprintln(out)
	for _, t := range r.tests {
		if v := r.verdicts[t.ID]; v.passed() || v == no && len(r.ids) == 0 {
			continue
		}
		fmt.Fprintf(out, "%s %s, %s: %s\n    %s\n", r.server, r.verdicts[t.ID], t.kind(), t.ID, t.Name)
		fmt.Fprintf(out, "    %s\n", r.reason(t))
		if why, ok := expected[t.ID]; ok {
			fmt.Fprintf(out, "    expected: %s\n", why)
		}
	}
}

func (r *report) reason(t test) string {
	res, ran := r.outcome.Results[t.ID]
	message := "it passes by itself"
	switch {
	case !ran:
		return "it didn't run"
	case !res.OK:
		message = res.Name + ": " + res.Message
	}
	if r.verdicts[t.ID] != dependency {
		return message
	}
	broken := slices.DeleteFunc(slices.Clone(t.DependsOn), func(id string) bool { return r.verdicts[id].passed() })
	return fmt.Sprintf("%s; it depends on %s", message, strings.Join(broken, ", "))
}

func (r *report) writeChanges(out io.Writer) {
	r.writeTests(out, "passed before, and fail now", r.worse())
	r.writeTests(out, "pass now, and failed before; record that with go run ./internal/conformance -update", r.better())
	r.writeTests(out, "have other new verdicts", r.otherwise())
}

func (r *report) writeTests(out io.Writer, title string, tests []test) {
	if len(tests) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s: %d %s:\n", r.server, len(tests), title)
	for _, t := range tests {
		fmt.Fprintf(out, "  %s: was %s, is %s", t.ID, r.base[t.ID], r.verdicts[t.ID])
		if !r.verdicts[t.ID].passed() {
			fmt.Fprintf(out, ". %s", r.reason(t))
		}
		fmt.Fprintln(out)
	}
}

// summary returns one line.
func (r *report) summary() string {
	change := "as in the baseline"
	if worse, better := len(r.worse()), len(r.better()); worse+better > 0 {
		change = fmt.Sprintf("%d better and %d worse than the baseline", better, worse)
	}
	return fmt.Sprintf("%s: %s; %s", r.server, r.scores(r.verdicts)[""], change)
}
