//go:build !windows && !race

package pgxcache_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutation is a way to break the library that TestHistory must detect, or another test if a history shows it too rarely.
type mutation struct {
	name           string
	file, old, new string // old occurs once in the file
	folder, test   string // of the other test
}

var mutations = []mutation{
	{name: "keys aren't held", file: "tiered/hold.go", old: "s.remove(ctx, s.hold)", new: "s.remove(ctx, redisconn.Hold{})"},
	{name: "tags aren't held", file: "tiered/hold.go", old: "s.cache.tags.Hold(ctx, s.tags, s.hold); err != nil", new: "error(nil); err != nil"},
	{
		name: "whoever ends a hold ends those of others, and so does a Delete", file: "tiered/internal/redisconn/hold.go",
		old: "if type(n)=='number' and n>0 then redis.call", new: "if false then redis.call",
		folder: "tiered", test: "TestHoldOutlivesOthers", // a history shows it in one of several runs only
	},
	{
		name: "a load takes its lease in the place of a hold", file: "tiered/internal/remote/lease.go",
		old: "			return to.SetNX(ctx, redisKeys[i], value, l.TTL)\n",
		new: "			return to.Eval(ctx, \"redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2]) return 1\", []string{redisKeys[i]}, value, l.TTL.Milliseconds())\n",
	},
	{
		name: "a load's result replaces a hold", file: "tiered/internal/redisconn/cas.go",
		old: "if v~=ARGV[1] then return 0 end\n", new: "if v~=ARGV[1] and type(v)~='table' then return 0 end\n",
	},
	{
		name: "a hold of a tag doesn't keep values from being stored", file: "tiered/internal/tags/store.go",
		old: "if type(n)=='number' then return {n>0", new: "if false then return {n>0",
	},
	{
		name: "a hold ends before COMMIT", file: "tiered/aftercommit/changes.go",
		old: "	err := commit()\n", new: "	ch.releaseAll(ctx)\n	err := commit()\n",
	},
}

const (
	moduleRoot = "../.."
	trials     = 8 // of a mutation, until one detects it
)

// build makes the mutation in a copy of its file, and builds this package's test binary with the copy as an overlay.
func (m mutation) build(t *testing.T) (binary string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(moduleRoot, m.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		t.Fatalf("%s contains this text %d times, want once (update the mutation):\n%s", m.file, n, m.old)
	}
	dir := t.TempDir()
	mutated, overlay, binary := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutant.test")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{mutated: strings.Replace(string(text), m.old, m.new, 1), overlay: string(list)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-gcflags=github.com/tiercache/tiercache/...=-l", // without inlining: takes less time
		"-overlay", overlay, "-o", binary, ".")
	if m.folder != "" {
		cmd.Dir = filepath.Join(moduleRoot, m.folder)
	}
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building a mutant: %v\n%s", err, out)
	}
	return binary
}

// Each text that a mutation replaces occurs once.
func TestMutationsApply(t *testing.T) {
	for _, m := range mutations {
		text, err := os.ReadFile(filepath.Join(moduleRoot, m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Errorf("%s: %s contains the text %d times, want once", m.name, m.file, n)
		}
	}
}

// TestHistory, or the mutation's other test, detects each mutation. Without one they pass, as they do by themselves.
func TestHistoryMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	slots := make(chan struct{}, 2) // more at a time would take each other's processors
	for _, m := range mutations {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			binary := m.build(t)
			var output []byte
			for n := range trials {
				var found bool
				if output, found = m.try(t, binary, n); found {
					t.Logf("trial %d detects it", n+1)
					return
				}
			}
			t.Errorf("no run detected it:\n%s", output)
		})
	}
}

// try runs the mutant's test, and reports whether it detects the mutation. Later trials take longer.
func (m mutation) try(t *testing.T, binary string, trial int) (output []byte, found bool) {
	if m.test != "" {
		cmd := exec.CommandContext(t.Context(), binary, "-test.run=^"+m.test+"$", "-test.v")
		cmd.Dir = filepath.Join(moduleRoot, m.folder)
		output, err := cmd.CombinedOutput()
		return output, err != nil && strings.Contains(string(output), "--- FAIL: "+m.test)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestHistory$/^tracking$", "-test.v", fmt.Sprintf("-history.time=%ds", 4+2*trial))
	output, err := cmd.CombinedOutput()
	violated := slices.ContainsFunc(strings.Split(string(output), "\n"), func(line string) bool {
		return strings.Contains(line, "violations: ") && !strings.Contains(line, "violations: none")
	})
	return output, err != nil && violated
}
