//go:build !windows && !race

package model_test

import (
	"context"
	"flag"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/need"
)

var flagLarge = flag.Bool("model.large", false, "check the larger models too, which takes minutes and gigabytes of memory")

// check is a model with its limits, as options of the C preprocessor.
type check struct{ model, options string }

// The limits are such that each is exhausted within seconds.
var small = []check{
	{"key", "-DLOADS=1"},
	{"key", "-DLOADS=2 -DFOREIGN=0"},
	{"key", "-DLOADS=1 -DEXPIRIES=1"},
	{"key", "-DLOADS=1 -DFOREIGN=0 -DBOTH_DELETE"},
	{"key", "-DLOADS=1 -DREFRESHES=1"},
	{"stream", "-DTICKS=3"},
	{"stream", "-DTICKS=4 -DREADS=1"},
	{"stream", "-DTICKS=3 -DLOSSES=1"},
	{"stream", "-DTICKS=3 -DFLUSHES=1 -DREADS=1"},
	{"stream", "-DTICKS=3 -DSWAPS=1"},
	{"stream", "-DTICKS=3 -DSWAPS=1 -DLOSSES=1 -DWRITES=1 -DREADS=1"},
	{"stream", "-DTICKS=4 -DMOVES=1"},
	{"stream", "-DTICKS=3 -DLATE_NAMES=1 -DLOSSES=1 -DREADS=1"},
	{"stream", "-DTICKS=2 -DSTORES=1 -DREADS=1 -DWRITES=1"},
	{"stream", "-DTICKS=3 -DSTORES=2 -DREADS=0 -DWRITES=0"},
	{"stream", "-DTICKS=3 -DSTORES=1 -DREADS=0 -DWRITES=1 -DLATE_NAMES=1"},
	{"stream", "-DTICKS=3 -DSWAPS=1 -DREPEATS=1 -DREADS=1 -DWRITES=0"},
	{"bykey", "-DTICKS=3"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DTURNS -DEVICTIONS=1"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DTURNS -DREADS=0 -DRECORDS=2 -DWRITES=1"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DFLUSHES=1 -DWRITES=1"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DSWAPS=1 -DREPEATS=1 -DLOSSES=1 -DWRITES=0"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DMOVES=1 -DLOSSES=1 -DWRITES=2"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DMOVES=1 -DFOLLOWS=1 -DREADS=0 -DRECORDS=2 -DWRITES=1"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DREADS=0 -DRECORDS=2"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DREADS=0 -DRECORDS=2 -DLOSSES=1 -DWRITES=1"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DREADS=0 -DRECORDS=1 -DTAGGED=1"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DSTORES=1 -DWRITES=1"},
	{"bykey", "-DTICKS=1 -DWAITS=2 -DREADS=0 -DEVICTIONS=1 -DLOSSES=1 -DWRITES=1"},
	{"bykey", "-DTICKS=1 -DWAITS=1 -DREADS=0 -DFLUSHES=1 -DWRITES=1"},
	{"tags", "-DINVALIDATIONS=2"},
	{"tags", "-DCLEARS=1"},
	{"tags", "-DEXPIRIES=1 -DINVALIDATIONS=0"},
	{"queue", "-DWRITES=3 -DFAILURES=3 -DREADS=3"},
}

var large = []check{
	{"key", "-DLOADS=2"},
	{"key", "-DLOADS=1 -DBOTH_DELETE -DEXPIRIES=1"},
	{"key", "-DLOADS=2 -DREFRESHES=2 -DFOREIGN=0"},
	{"stream", "-DTICKS=5 -DWRITES=3 -DREADS=3"},
	{"stream", "-DTICKS=4 -DFLUSHES=1"},
	{"stream", "-DTICKS=4 -DLOSSES=2"},
	{"stream", "-DTICKS=4 -DLOSSES=1 -DSWAPS=1 -DREADS=1"},
	{"stream", "-DTICKS=4 -DLATE_NAMES=1 -DLOSSES=1"},
	{"stream", "-DTICKS=3 -DSTORES=1 -DREADS=1 -DWRITES=1"},
	{"stream", "-DTICKS=3 -DSTORES=2 -DREADS=0 -DWRITES=1"},
	{"stream", "-DTICKS=3 -DSTORES=1 -DLOSSES=1 -DREADS=1"},
	{"stream", "-DTICKS=4 -DSWAPS=1 -DREPEATS=1 -DREADS=1"},
	{"bykey", "-DTICKS=4"},
	{"bykey", "-DTICKS=3 -DTURNS -DSWAPS=1 -DEVICTIONS=1"},
	{"bykey", "-DTICKS=3 -DREADS=0 -DRECORDS=2 -DEVICTIONS=1"},
	{"bykey", "-DTICKS=3 -DREADS=0 -DRECORDS=2 -DFLUSHES=1 -DWRITES=1"},
	{"bykey", "-DTICKS=3 -DREADS=0 -DRECORDS=2 -DLOSSES=1 -DSWAPS=1 -DWRITES=1"},
	{"bykey", "-DTICKS=3 -DSWAPS=1 -DREPEATS=1 -DLOSSES=1"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DMOVES=2 -DFOLLOWS=1 -DLOSSES=1 -DFLUSHES=1 -DWRITES=1"},
	{"bykey", "-DTICKS=3 -DSTORES=1 -DWRITES=1"},
	{"bykey", "-DTICKS=2 -DDELTA=1 -DSTORES=2 -DWRITES=1 -DSWAPS=1"},
	{"bykey", "-DTICKS=1 -DWAITS=2 -DREADS=0 -DEVICTIONS=1 -DLOSSES=1 -DFLUSHES=1 -DWRITES=2"},
	{"tags", "-DLOADS=2 -DINVALIDATIONS=2"},
	{"tags", "-DCLEARS=1 -DINVALIDATIONS=2 -DLOSSES=2"},
	{"tags", "-DEXPIRIES=1 -DINVALIDATIONS=1"},
	{"queue", "-DWRITES=4 -DFAILURES=4 -DREADS=4 -DLOADS=3"},
}

// mutations break a rule of the protocol. Each must be found.
var mutations = []check{
	{"key", "-DNO_LEASES -DLOADS=1"},
	{"key", "-DONE_TOKEN"},
	{"key", "-DREPLACES_ANYTHING -DLOADS=1"},
	{"key", "-DNO_GENERATION"},
	{"key", "-DLOCAL_BEFORE_REDIS"},
	{"key", "-DLOCAL_NOT_CHANGED"},
	{"key", "-DREFRESHES=1 -DREFRESH_REPLACES_ANYTHING -DFOREIGN=0"},
	{"key", "-DREFRESHES=1 -DREFRESH_WITHOUT_A_LOOK -DFOREIGN=0"},
	{"stream", "-DNEVER_ENDS"},
	{"stream", "-DCOUNTED_AFTER_READ"},
	{"stream", "-DCONNECTION_KEEPS_VALIDITY -DLOSSES=1"},
	{"stream", "-DFLUSH_UNNOTICED -DSWAP_UNNOTICED -DFLUSHES=1 -DWRITES=0 -DREADS=1"},
	{"stream", "-DSWAP_UNNOTICED -DSWAPS=1"},
	{"stream", "-DFIRST_CANARY_IS_BELIEVED -DSWAPS=1 -DTICKS=3"},
	{"stream", "-DPONG_EXTENDS -DMOVES=1 -DTICKS=3 -DWRITES=1 -DREADS=1"},
	{"stream", "-DREPORT_EXTENDS_FROM_NOW"},
	{"stream", "-DCANARY_IN_ANY_TURN"},
	{"stream", "-DNAME_IS_VALID_AT_ONCE -DLATE_NAMES=1 -DTICKS=3"},
	{"stream", "-DRECONNECT_FORGETS_NAMES -DLATE_NAMES=1 -DLOSSES=1 -DTICKS=3 -DREADS=1"},
	{"stream", "-DOWN_REPORT_IS_TRUSTED -DSTORES=1 -DREADS=0 -DWRITES=1 -DTICKS=2"},
	{"stream", "-DNO_GENERATION -DSTORES=1 -DREADS=1 -DWRITES=0 -DTICKS=2"},
	{"stream", "-DNO_GENERATION -DSTORES=2 -DREADS=0 -DWRITES=0 -DTICKS=2"},
	{"stream", "-DREPEATED_CANARY_COUNTS -DREPEATS=1 -DSWAPS=1 -DREADS=1 -DWRITES=0 -DTICKS=3"},
	{"stream", "-DREPEATED_LOSS_UNNOTICED -DREPEATS=1 -DSWAPS=1 -DREADS=1 -DWRITES=0 -DTICKS=3"},
	{"bykey", "-DREPLY_IS_NOT_COMPARED -DWRITES=1"},
	{"bykey", "-DPUT_WITHOUT_TRACKING -DWRITES=1"},
	{"bykey", "-DNO_GENERATION -DSTORES=1 -DWRITES=0 -DTICKS=1"},
	{"bykey", "-DLOCAL_NOT_CHANGED -DSTORES=1 -DWRITES=0 -DTICKS=1"},
	{"bykey", "-DREPORT_KEEPS_TRACKED -DREADS=0 -DRECORDS=2 -DTICKS=2 -DDELTA=1"},
	{"bykey", "-DFLUSH_KEEPS_TRACKED -DFLUSHES=1 -DREADS=0 -DRECORDS=2 -DWRITES=1 -DTICKS=2 -DDELTA=1"},
	{"bykey", "-DCOUNTED_BEFORE_UNTRACKED -DREADS=0 -DRECORDS=2 -DTICKS=2 -DDELTA=1"},
	{"bykey", "-DREAD_BEFORE_TRACKED -DREADS=0 -DRECORDS=1 -DWRITES=1 -DTICKS=2 -DDELTA=1"},
	{"bykey", "-DTRACKED_BEFORE_COUNTED -DREADS=0 -DRECORDS=1 -DTICKS=2 -DDELTA=1"},
	{"bykey", "-DVALIDITY_TAKEN_LAST -DLOSSES=1 -DREADS=0 -DRECORDS=1 -DWRITES=1 -DTICKS=2"},
	{"bykey", "-DFIRST_MARK_IS_BELIEVED -DSWAPS=1 -DWRITES=0 -DTICKS=2"},
	{"bykey", "-DEPOCH_UNNOTICED -DSWAPS=1 -DWRITES=0 -DTICKS=2"},
	{"bykey", "-DEPOCH_NOT_KEPT -DSWAPS=1 -DWRITES=0 -DTICKS=2 -DDELTA=1"},
	{"bykey", "-DEPOCH_IS_THE_INSTANT -DREPEATS=1 -DSWAPS=1 -DWRITES=0 -DTICKS=2 -DDELTA=1"},
	{"bykey", "-DOLD_CANARY_OVERWRITES -DWRITES=0"},
	{"bykey", "-DCANARY_IN_ANY_TURN -DTURNS -DEVICTIONS=1 -DTICKS=2 -DDELTA=1"},
	{"bykey", "-DCONNECTION_KEEPS_VALIDITY -DFIRST_MARK_IS_BELIEVED -DLOSSES=1 -DWRITES=1 -DTICKS=2"},
	{"bykey", "-DCONNECTION_KEEPS_TRACKED -DFIRST_MARK_IS_BELIEVED -DLOSSES=1 -DREADS=0 -DRECORDS=2 -DWRITES=1 -DTICKS=2"},
	{"bykey", "-DFLUSH_UNNOTICED -DEPOCH_UNNOTICED -DFLUSHES=1 -DWRITES=0 -DTICKS=2"},
	{"bykey", "-DMARK_NOT_READ_AFTER_FLUSH -DFLUSHES=1 -DREADS=0 -DWRITES=0 -DTICKS=1"},
	{"tags", "-DPOSITION_AT_THE_END"},
	{"tags", "-DNO_RECORD_IS_VALID"},
	{"tags", "-DCOUNT_BEFORE_RECORD"},
	{"tags", "-DCLEAR_KEEPS_THE_EPOCH -DCLEARS=1 -DINVALIDATIONS=0"},
	{"tags", "-DEXPIRIES_ARE_IGNORED -DEXPIRIES=1 -DINVALIDATIONS=0"},
	{"queue", "-DFORGOTTEN_BEFORE_IT_IS_QUEUED"},
	{"queue", "-DLOCK_ENDS_WITH_THE_CALLER"},
	{"queue", "-DTAKEN_OFF_BEFORE_THE_REPLAY"},
}

func (c check) name() string {
	return c.model + strings.ReplaceAll(strings.ReplaceAll(c.options, " ", ""), "-D", ",")
}

// No order of events violates a guarantee.
func TestModels(t *testing.T) {
	checks := small
	if *flagLarge {
		checks = append(checks, large...)
	}
	for _, c := range checks {
		t.Run(c.name(), func(t *testing.T) {
			if !*flagLarge {
				t.Parallel() // the large ones need the memory
			}
			if found, output := c.run(t); found {
				t.Error(output)
			}
		})
	}
}

// Each rule is needed: without it some order of events violates a guarantee.
func TestMutations(t *testing.T) {
	for _, c := range mutations {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			if found, output := c.run(t); !found {
				t.Errorf("not found:\n%s", output)
			}
		})
	}
}

var (
	errorCount = regexp.MustCompile(`errors: (\d+)`)
	states     = regexp.MustCompile(`(\d+) states, stored`)
)

// run has spin check the model, and reports whether it found an order of events that violates an assertion.
func (c check) run(t *testing.T) (found bool, output string) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	need.Program(t, "spin")
	need.Program(t, "cc")
	file, err := filepath.Abs(c.model + ".pml")
	if err != nil {
		t.Fatal(err)
	}
	dir, began := t.TempDir(), time.Now()
	command(t, dir, "spin", append(strings.Fields(c.options), "-a", file)...)
	command(t, dir, "cc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", "-DMEMLIM=12000", "-o", "pan", "pan.c")
	output = command(t, dir, "./pan", "-m1000000")
	errors := errorCount.FindStringSubmatch(output)
	if errors == nil || strings.Contains(output, "Search not completed") && errors[1] == "0" || strings.Contains(output, "max search depth too small") {
		t.Fatalf("not all states were looked at:\n%s", output)
	}
	if errors[1] != "0" && !strings.Contains(output, "assertion violated") {
		t.Fatalf("the model is wrong:\n%s", output)
	}
	t.Logf("%s states, %.1f s", states.FindStringSubmatch(output)[1], time.Since(began).Seconds())
	return errors[1] != "0", output
}

// command runs a program, which ends with the test.
func command(t *testing.T, dir, name string, args ...string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, output)
	}
	return string(output)
}
