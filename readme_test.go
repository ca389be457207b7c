package tiercache_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each Go block in the README is, except for its indentation, in an Example or an example program, which are compiled.
func TestReadmeBlocksAreCompiled(t *testing.T) {
	readme := contents(t, "README.md")
	compiled := flat(contents(t, "*/example*_test.go", "adapters/*/example_test.go", "examples/*/*.go"))
	blocks := strings.Split(readme, "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("the README has no Go blocks")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(compiled, flat(block)) {
			t.Errorf("not in an example:\n%s", block)
		}
	}
	if lines := strings.Count(readme, "\n"); lines > 150 {
		t.Errorf("the README has %d lines, want at most 150", lines)
	}
}

// The tests and benchmarks that the README, SECURITY.md and the docs name exist.
func TestReadmeNamesTests(t *testing.T) {
	tests := contents(t, "*_test.go", "*/*_test.go", "tiered/*/*_test.go", "tiered/internal/*/*_test.go", "adapters/*/*_test.go", "adapters/internal/*/*_test.go", "internal/*/*_test.go", "internal/*/*/*_test.go", "cmd/*/*_test.go")
	names := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z]*)").FindAllStringSubmatch(contents(t, "README.md", "SECURITY.md", "docs/*.md"), -1)
	if len(names) == 0 {
		t.Fatal("the README names no test")
	}
	for _, name := range names {
		if !strings.Contains(tests, "\nfunc "+name[1]+"(") {
			t.Errorf("there is no %s", name[1])
		}
	}
}

// The Examples that the docs link to are in those files, and so are all other files that they link to.
func TestDocsLinks(t *testing.T) {
	names, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("docs/from/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	code := regexp.MustCompile("(?s)```.*?```")
	for _, name := range append(names, more...) {
		text := code.ReplaceAllString(contents(t, name), "") // which may have brackets, too
		for _, link := range regexp.MustCompile("\\[`?([^]`]*)`?\\]\\(([^)#: \\n]+)(#[^)]*)?\\)").FindAllStringSubmatch(text, -1) {
			target := filepath.Join(filepath.Dir(name), link[2])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if strings.HasPrefix(link[1], "Example") {
				examples++
				if !strings.Contains(contents(t, target), "\nfunc "+link[1]+"(") {
					t.Errorf("%s: there is no %s in %s", name, link[1], target)
				}
			}
		}
	}
	if examples < 20 {
		t.Errorf("%d examples", examples)
	}
}

// The rows of the README's table of failures are among those that a test checks.
func TestReadmeRows(t *testing.T) {
	const head = "| the value is | the source | the call gets | loads | next |\n|---|---|---|---|---|\n"
	_, rows, found := strings.Cut(contents(t, "README.md"), head)
	if !found {
		t.Fatal("the README has no such table")
	}
	checked := contents(t, "docs/resilience.md")
	for row := range strings.Lines(rows) {
		if !strings.HasPrefix(row, "|") {
			break
		}
		if !strings.Contains(checked, row) {
			t.Errorf("not in docs/resilience.md: %s", row)
		}
	}
}

// contents returns the contents of all files that match the patterns.
func contents(t *testing.T, patterns ...string) string {
	t.Helper()
	var b strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(text)
		}
	}
	return b.String()
}

// flat returns the text without indentation and empty lines.
func flat(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
