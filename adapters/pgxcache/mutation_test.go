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

// mutation is a way to break the library that TestHistory must detect.
type mutation struct {
	name           string
	file, old, new string // old occurs once in the file
}

var mutations = []mutation{
	{"keys aren't held", "tiered/hold.go", "s.remove(ctx, s.hold)", "s.remove(ctx, redisconn.Hold{})"},
	{"tags aren't held", "tiered/hold.go", "s.cache.tags.Hold(ctx, s.tags, s.hold); err != nil", "error(nil); err != nil"},
	{"whoever ends a hold ends those of others, and so does a Delete", "tiered/internal/redisconn/hold.go",
		"if type(n)=='number' and n>0 then redis.call", "if false then redis.call"},
	{"a load takes its lease in the place of a hold", "tiered/internal/remote/lease.go",
		"			return to.SetNX(ctx, redisKeys[i], value, l.TTL)\n",
		"			return to.Eval(ctx, \"redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2]) return 1\", []string{redisKeys[i]}, value, l.TTL.Milliseconds())\n"},
	{"a load's result replaces a hold", "tiered/internal/redisconn/cas.go",
		"if v~=ARGV[1] then return 0 end\n", "if v~=ARGV[1] and type(v)~='table' then return 0 end\n"},
	{"a hold of a tag doesn't keep values from being stored", "tiered/internal/tags/store.go",
		"if type(n)=='number' then return {n>0", "if false then return {n>0"},
	{"a hold ends before COMMIT", "tiered/aftercommit/changes.go",
		"	err := commit()\n", "	ch.releaseAll(ctx)\n	err := commit()\n"},
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
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, ".")
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

// TestHistory detects each mutation. Without one it passes, as it does by itself.
func TestHistoryMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	for _, m := range mutations {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			binary := m.build(t)
			var output []byte
			for n := range trials {
				cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestHistory$/^tracking$", "-test.v", fmt.Sprintf("-history.time=%ds", 4+2*n))
				var err error
				output, err = cmd.CombinedOutput()
				found := slices.ContainsFunc(strings.Split(string(output), "\n"), func(line string) bool {
					return strings.Contains(line, "violations: ") && !strings.Contains(line, "violations: none")
				})
				if found && err != nil {
					t.Logf("trial %d detects it", n+1)
					return
				}
			}
			t.Errorf("no run detected it:\n%s", output)
		})
	}
}
