package main

import (
	"fmt"
	"io"
	"slices"
)

// report compares a server's verdicts with its baseline.
type report struct {
	server   string
	outcome  *outcome
	verdicts map[string]verdict
	base     map[string]verdict
	shown    map[string]bool // the tests that were asked for
}

func newReport(server string, o *outcome, base map[string]verdict, ids []string) *report {
	r := &report{server: server, outcome: o, verdicts: o.verdicts(), base: base, shown: make(map[string]bool)}
	for _, g := range o.Groups {
		for _, t := range g.Tests {
			r.shown[t.ID] = len(ids) == 0 || slices.Contains(ids, t.ID) || slices.Contains(ids, g.ID)
		}
	}
	return r
}

// count is how many tests of a group, or of all, have which verdict.
type count map[string]map[verdict]int // by kind

func (c count) add(kind string, v verdict) {
	if c[kind] == nil {
		c[kind] = make(map[verdict]int)
	}
	c[kind][v]++
}

func (c count) of(kind string) int {
	n := 0
	for _, m := range c[kind] {
		n += m
	}
	return n
}

// regressions are the tests that passed in the baseline and don't now. Checks are neither good nor bad.
func (r *report) regressions() []string {
	return r.changed(func(t test, was, is verdict) bool { return was == pass && is != pass })
}

func (r *report) changed(which func(t test, was, is verdict) bool) []string {
	var ids []string
	for _, g := range r.outcome.Groups {
		for _, t := range g.Tests {
			was, ok := r.base[t.ID]
			if is := r.verdicts[t.ID]; ok && r.shown[t.ID] && was != is && which(t, was, is) {
				ids = append(ids, t.ID)
			}
		}
	}
	return ids
}

func (r *report) write(out io.Writer, verbose bool) {
	fmt.Fprintf(out, "\n%s%*s\n", r.server, 66-len(r.server), "baseline")
	row := "%-24s %9s %9s %13s    %4v %4v %7s\n"
	fmt.Fprintf(out, row, "group", "required", "optimal", "checks", "req", "opt", "checks")
	for _, g := range r.outcome.Groups {
		is, was := r.counts(g)
		if is.of(required)+is.of(optimal)+is.of(check) == 0 {
			continue
		}
		fmt.Fprintf(out, row, g.ID, fraction(is, required), fraction(is, optimal), answers(is),
			was[required][pass], was[optimal][pass], fmt.Sprintf("%d/%d", was[check][yes], was[check][no]))
	}
	if verbose {
		r.writeFailures(out)
	}
	r.writeChanges(out)
}

func (r *report) counts(groups ...group) (is, was count) {
	is, was = make(count), make(count)
	for _, g := range groups {
		for _, t := range g.Tests {
			if r.shown[t.ID] {
				is.add(t.kind(), r.verdicts[t.ID])
				was.add(t.kind(), r.base[t.ID])
			}
		}
	}
	return is, was
}

func fraction(c count, kind string) string {
	if c.of(kind) == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", c[kind][pass], c.of(kind))
}

func answers(c count) string {
	if c.of(check) == 0 {
		return "-"
	}
	return fmt.Sprintf("%d yes %d no", c[check][yes], c[check][no])
}

func (r *report) writeFailures(out io.Writer) {
	fmt.Fprintln(out)
	for _, g := range r.outcome.Groups {
		for _, t := range g.Tests {
			v := r.verdicts[t.ID]
			if !r.shown[t.ID] || v.passed() || v == untested {
				continue
			}
			fmt.Fprintf(out, "%-10s %-8s %s: %s\n", v, t.kind(), t.ID, t.Name)
			res := r.outcome.Results[t.ID]
			if res.OK {
				fmt.Fprintf(out, "%20s it passes, but not all of %v do\n", "", t.DependsOn)
			} else {
				fmt.Fprintf(out, "%20s %s: %s\n", "", res.Name, res.Message)
			}
			if why, ok := expected[t.ID]; ok {
				fmt.Fprintf(out, "%20s expected: %s\n", "", why)
			}
		}
	}
}

func (r *report) writeChanges(out io.Writer) {
	for _, change := range []struct {
		title string
		ids   []string
	}{
		{"passed before, and doesn't now", r.regressions()},
		{"passes now, and didn't before: go run ./internal/conformance -update keeps it",
			r.changed(func(_ test, _, is verdict) bool { return is == pass })},
		{"changed otherwise", r.changed(func(_ test, was, is verdict) bool { return was != pass && is != pass })},
	} {
		if len(change.ids) == 0 {
			continue
		}
		fmt.Fprintf(out, "\n%s: %s\n", r.server, change.title)
		for _, id := range change.ids {
			res := r.outcome.Results[id]
			fmt.Fprintf(out, "  %s: %s, was %s. %s\n", id, r.verdicts[id], r.base[id], res.Message)
		}
	}
}

// summary is one line.
func (r *report) summary() string {
	is, _ := r.counts(r.outcome.Groups...)
	able, passed, other := 0, 0, 0
	for _, g := range r.outcome.Groups {
		for _, t := range g.Tests {
			if t.kind() != required || !r.shown[t.ID] {
				continue
			}
			ok := r.verdicts[t.ID] == pass
			if _, hopeless := expected[t.ID]; !hopeless {
				able++
				passed += one(ok)
			} else {
				other += one(ok)
			}
		}
	}
	return fmt.Sprintf("%s: required %d of %d that can pass (and %d of the %d that can't), optimal %d of %d, checks %d yes %d no",
		r.server, passed, able, other, is.of(required)-able, is[optimal][pass], is.of(optimal), is[check][yes], is[check][no])
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// kind fills in the suite's default.
func (t test) kind() string {
	if t.Kind == "" {
		return required
	}
	return t.Kind
}
