package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScore(t *testing.T) {
	r := newReport("nethttp", read(t, document), nil, nil)
	scores := r.scores(r.verdicts)
	for group, want := range map[string]score{
		"one": {required: tally{1, 4}, optimal: tally{1, 2}, checks: 3, yes: 1, no: 1},
		"two": {required: tally{1, 5}, impossible: tally{0, 1}, optimal: tally{0, 1}, checks: 1},
		"":    {required: tally{2, 9}, impossible: tally{0, 1}, optimal: tally{1, 3}, checks: 4, yes: 1, no: 1},
	} {
		if got := *scores[group]; got != want {
			t.Errorf("%q: %+v, want %+v", group, got, want)
		}
	}
}

func TestChanges(t *testing.T) {
	base := maps.Clone(scored)
	base["breaks"] = pass       // worse
	base["on-fails"] = pass     // worse, though it passes by itself
	base["does-not"] = yes      // a check is neither
	base["best"] = suboptimal   // better
	base["on-passes"] = setup   // better
	base["twice"] = setup       // otherwise
	delete(base, "good-enough") // new
	r := newReport("fiber", read(t, document), base, nil)
	for what, c := range map[string]struct {
		tests []test
		want  string
	}{
		"worse":     {r.worse(), "[breaks on-fails]"},
		"better":    {r.better(), "[best on-passes]"},
		"otherwise": {r.otherwise(), "[does-not twice]"},
	} {
		var ids []string
		for _, test := range c.tests {
			ids = append(ids, test.ID)
		}
		if got := fmt.Sprint(ids); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}

	var out strings.Builder
	r.writeTable(&out)
	r.writeFailures(&out)
	r.writeChanges(&out)
	err := conclude(&out, []*report{r})
	if err == nil || !strings.Contains(err.Error(), "fiber") {
		t.Errorf("the error is %v, want one that names the server", err)
	}
	for _, want := range []string{
		"\none                     1/4                   1/2    1 yes 1 no",
		"  breaks: was pass, is fail. TypeError: \n",
		"  on-fails: was pass, is dependency. it passes by itself; it depends on fails\n",
		"    expected: RFC 9111, 5.1",
		"\nfiber: required 2 of 9 that can pass (and 0 of 1 that can't), optimal 1 of 3, checks 1 yes, 1 no, 2 undecided; 2 better and 2 worse than the baseline\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q isn't in:\n%s", want, out.String())
		}
	}
}

func TestOnlySome(t *testing.T) {
	base := map[string]verdict{"fails": pass, "best": pass, "on-fails": pass}
	for ids, want := range map[string]string{
		"best":            "nethttp: required 0 of 0 that can pass (and 0 of 0 that can't), optimal 1 of 1, checks 0 yes, 0 no, 0 undecided; as in the baseline\n",
		"best,on-fails":   "nethttp: required 0 of 1 that can pass (and 0 of 0 that can't), optimal 1 of 1, checks 0 yes, 0 no, 0 undecided; 0 better and 1 worse than the baseline\n",
		"two,on-on-fails": "nethttp: required 1 of 5 that can pass (and 0 of 1 that can't), optimal 0 of 1, checks 0 yes, 0 no, 1 undecided; 0 better and 1 worse than the baseline\n",
	} {
		var out strings.Builder
		_ = conclude(&out, []*report{newReport("nethttp", read(t, document), base, strings.Split(ids, ","))})
		if out.String() != want {
			t.Errorf("%s:\n%swant\n%s", ids, out.String(), want)
		}
	}
}

func TestUpdate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "baseline.txt")
	base, err := readBaseline(file)
	if err != nil || len(base) != len(servers) {
		t.Fatalf("without a file: %v, %v", base, err)
	}
	base["fiber"]["passes"], base["nethttp"]["fails"] = no, pass
	var out strings.Builder
	if err := update(&out, file, base, []*report{newReport("nethttp", read(t, document), base["nethttp"], nil)}); err != nil {
		t.Errorf("what is worse is an error: %v", err)
	}
	if !strings.HasSuffix(out.String(), "; as in the baseline\n") {
		t.Errorf("it says %q", out.String())
	}
	got, err := readBaseline(file)
	if err != nil {
		t.Fatal(err)
	}
	if is := got["nethttp"]["fails"]; is != fail {
		t.Errorf("the new verdict is %s, want %s", is, fail)
	}
	if is := got["fiber"]["passes"]; is != no {
		t.Errorf("the other server's verdict is %s, want %s as before", is, no)
	}
	if is := got["fiber"]["fails"]; is != untested {
		t.Errorf("what the other server never ran is %s, want %s", is, untested)
	}
}

func TestBaselineRefuses(t *testing.T) {
	for _, line := range []string{"passes pass pass", "passes pass pass pass pass", "passes pass perhaps pass"} {
		file := filepath.Join(t.TempDir(), "baseline.txt")
		if err := os.WriteFile(file, []byte("# nethttp fiber transport\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readBaseline(file); err == nil {
			t.Errorf("%q: no error", line)
		}
	}
}

// The baseline has all tests of the list of those that can't pass.
func TestExpectedAreInTheBaseline(t *testing.T) {
	base, err := readBaseline("baseline.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range servers {
		if len(base[server]) == 0 {
			t.Errorf("%s: the baseline is empty", server)
		}
		for id := range expected {
			if base[server][id] == "" {
				t.Errorf("%s: no test is called %s", server, id)
			}
		}
	}
}

func TestParse(t *testing.T) {
	s, err := parse([]string{"-ids", "vary,other-date-update", "-server", "fiber"})
	if err != nil || fmt.Sprint(s.ids, s.servers, s.verbose) != "[vary other-date-update] [fiber] true" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, args := range [][]string{{"-nope"}, {"vary"}, {"-server", "nginx"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	if err := run(t.Context(), []string{"-server", "nginx"}, nil); err == nil {
		t.Error("run: no error")
	}
}
