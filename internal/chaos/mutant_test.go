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

// edit replaces a text that occurs once in a file of the library.
type edit struct{ file, old, new string }

// mutant is this package's test binary, built with mutations of the library.
type mutant struct {
	binary string
	dir    string // for its temporary files
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
			t.Fatalf("tiered/%s contains this text %d times, want once (update the mutation):\n%s", e.file, n, e.old)
		}
		texts[path] = strings.Replace(texts[path], e.old, e.new, 1)
	}
	return texts
}

// build makes the edits in copies of the files, and builds the test binary with the copies as an overlay. Only packages that
// depend on these files are compiled again, without inlining, which saves a third of the time.
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
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-gcflags=github.com/tiercache/tiercache/...=-l",
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
	mode     string
	focus    string
	time     time.Duration
	seed     int
}

// try runs the mutant. It returns the guarantees that were violated by its report, and its output.
func (m *mutant) try(t *testing.T, tr trial) (violated []string, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.binary, "-test.run=^TestChaos$", "-test.v", "-test.timeout=50s",
		"-chaos.topology="+tr.topology, "-chaos.mode="+tr.mode, "-chaos.focus="+tr.focus, "-chaos.time="+tr.time.String(), fmt.Sprintf("-chaos.seed=%d", tr.seed))
	cmd.Env = append(os.Environ(), "TMPDIR="+m.dir)
	cmd.WaitDelay = 10 * time.Second // on a busy machine its output may not have been read completely when it ends
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

// violations returns the guarantees that a report says were violated.
func violations(report string) (guarantees []string) {
	for _, line := range violationsLine.FindAllStringSubmatch(report, -1) {
		for _, m := range guaranteeCount.FindAllStringSubmatch(line[1], -1) {
			guarantees = append(guarantees, m[1])
		}
	}
	slices.Sort(guarantees)
	return slices.Compact(guarantees)
}
