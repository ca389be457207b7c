//go:build !windows

package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// edit replaces a text that a file of the library has once.
type edit struct{ file, old, new string }

// mutant is this package's test binary with a library that is broken on purpose.
type mutant struct {
	binary string
	dir    string // for what it leaves behind
}

const moduleRoot = "../.."

// edited returns the texts of the files that the edits change, by path.
func edited(t *testing.T, edits []edit) map[string]string {
	t.Helper()
	root, err := filepath.Abs(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	for _, e := range edits {
		path := filepath.Join(root, "tiered", e.file)
		if _, ok := texts[path]; !ok {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(b)
		}
		if n := strings.Count(texts[path], e.old); n != 1 {
			t.Fatalf("tiered/%s has %d times, want once (the mutation must be brought up to date):\n%s", e.file, n, e.old)
		}
		texts[path] = strings.Replace(texts[path], e.old, e.new, 1)
	}
	return texts
}

// build makes the edits in copies of the files, and has the compiler take those for the files. Nothing else is compiled again.
func build(t *testing.T, edits []edit) *mutant {
	t.Helper()
	dir := t.TempDir()
	texts := edited(t, edits)
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for path, text := range texts {
		// Files of two packages may have one name.
		mutated := filepath.Join(dir, fmt.Sprintf("%d_%s", len(overlay.Replace), filepath.Base(path)))
		if err := os.WriteFile(mutated, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[path] = mutated
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	overlays := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlays, list, 0o600); err != nil {
		t.Fatal(err)
	}
	m := &mutant{filepath.Join(dir, "mutant.test"), dir}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w",
		"-overlay", overlays, "-o", m.binary, "./internal/chaos")
	cmd.Dir, cmd.Env = moduleRoot, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building a mutant: %v\n%s", err, out)
	}
	return m
}

// trial is a run of TestChaos.
type trial struct {
	topology string
	focus    string
	time     time.Duration
	seed     int
}

// try returns the guarantees that were violated, by the report, and all that the run said.
func (m *mutant) try(t *testing.T, tr trial) (violated []string, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.binary, "-test.run=^TestChaos$", "-test.v", "-test.timeout=50s",
		"-chaos.topology="+tr.topology, "-chaos.focus="+tr.focus, "-chaos.time="+tr.time.String(), fmt.Sprintf("-chaos.seed=%d", tr.seed))
	cmd.Env = append(os.Environ(), "TMPDIR="+m.dir)
	cmd.WaitDelay = 10 * time.Second // a busy machine may not have read all by the time it ends
	out, err := cmd.CombinedOutput()
	violated = violations(string(out))
	if (err != nil) != (len(violated) > 0) {
		t.Errorf("seed %d, focus %s: it ended with %v, and reported violations of %v:\n%s", tr.seed, tr.focus, err, violated, out)
	}
	return violated, string(out)
}

var (
	violationsLine = regexp.MustCompile(`(?m)^\s*violations: \d+: (.+)$`)
	guaranteeCount = regexp.MustCompile(`(\w+) \d+`)
)

// violations reads a report.
func violations(report string) (guarantees []string) {
	for _, line := range violationsLine.FindAllStringSubmatch(report, -1) {
		for _, m := range guaranteeCount.FindAllStringSubmatch(line[1], -1) {
			guarantees = append(guarantees, m[1])
		}
	}
	slices.Sort(guarantees)
	return slices.Compact(guarantees)
}
