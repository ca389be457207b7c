package tiercache_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each block of Go in the README stands, but for its indentation, in an Example or an example program that is compiled.
func TestReadmeBlocksAreCompiled(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var compiled strings.Builder
	for _, pattern := range []string{"*/example_test.go", "adapters/*/example_test.go", "examples/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compiled.WriteString(flat(string(source)))
		}
	}
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("the README has no Go in it")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(compiled.String(), flat(block)) {
			t.Errorf("not in an example:\n%s", block)
		}
	}
	if lines := strings.Count(string(readme), "\n"); lines > 250 {
		t.Errorf("the README has %d lines, want at most 250", lines)
	}
}

// flat is the text without indentation and empty lines.
func flat(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
