package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const changelog = `# Changelog

## [Unreleased]

## [0.1.0] - 2026-01-02

### Added

- The answer.
`

// files are those of a repository with two published modules and one that isn't. The adapter requires a version of the core
// that doesn't exist.
var files = map[string]string{
	"go.work":                      "go 1.26.0\n\nuse (\n\t.\n\t./adapters/web\n\t./examples\n)\n",
	"go.mod":                       "module lib.test/cache\n\ngo 1.26.0\n",
	"LICENSE":                      "free\n",
	"CHANGELOG.md":                 changelog,
	"README.md":                    "# cache\n\n    go get lib.test/cache/core\n    go get lib.test/cache/adapters/web # or this\n    go install lib.test/cache/cmd/tool@latest # a tool\n",
	"core/core.go":                 "package core\n\n// Answer returns the answer.\nfunc Answer() int { return 42 }\n",
	"cmd/tool/main.go":             "package main\n\nfunc main() {}\n",
	"adapters/web/go.mod":          "module lib.test/cache/adapters/web\n\ngo 1.26.0\n\nrequire lib.test/cache v0.0.0\n\nreplace lib.test/cache => ../..\n",
	"adapters/web/LICENSE":         "free\n",
	"adapters/web/web.go":          "package web\n\nimport \"lib.test/cache/core\"\n\n// Answer returns the core's answer.\nfunc Answer() int { return core.Answer() }\n",
	"examples/go.mod":              "module lib.test/cache/examples\n\ngo 1.26.0\n\nrequire lib.test/cache/adapters/web v0.0.0\n\nrequire lib.test/cache v0.0.0 // indirect\n\nreplace (\n\tlib.test/cache => ..\n\tlib.test/cache/adapters/web => ../adapters/web\n)\n",
	"examples/main.go":             "package main\n\nimport \"lib.test/cache/adapters/web\"\n\nfunc main() { println(web.Answer()) }\n",
	smoke + "core/main.go":         "package main\n\nimport \"lib.test/cache/core\"\n\nfunc main() {\n\tif core.Answer() != 42 {\n\t\tpanic(core.Answer())\n\t}\n}\n",
	smoke + "adapters/web/main.go": "package main\n\nimport \"lib.test/cache/adapters/web\"\n\nfunc main() {\n\tif web.Answer() != 42 {\n\t\tpanic(web.Answer())\n\t}\n}\n",
}

const smoke = "internal/release/testdata/smoke/"

// newRepository returns a repository with the files as its only commit. changed are files with other contents; "" omits one.
func newRepository(t *testing.T, changed map[string]string) repository {
	t.Helper()
	// The modules are nowhere but in the rehearsal's proxy.
	t.Setenv("GOPROXY", fileURL(t.TempDir()))
	t.Setenv("GOFLAGS", "")
	for name, value := range map[string]string{"NAME": "Ada", "EMAIL": "ada@lib.test"} {
		t.Setenv("GIT_AUTHOR_"+name, value)
		t.Setenv("GIT_COMMITTER_"+name, value)
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	repo := repository(t.TempDir())
	git(t, repo, "init", "--quiet", "--initial-branch", "main")
	for name, content := range files {
		write(t, repo, name, content)
	}
	for name, content := range changed {
		write(t, repo, name, content)
	}
	commit(t, repo, "The library")
	return repo
}

func write(t *testing.T, repo repository, name, content string) {
	t.Helper()
	path := repo.file(name)
	if content == "" {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, repo repository, message string) {
	t.Helper()
	git(t, repo, "add", "--all")
	git(t, repo, "commit", "--quiet", "--message", message)
}

func git(t *testing.T, repo repository, args ...string) string {
	t.Helper()
	out, err := repo.git(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// state returns everything of the repository that a release may change.
func state(t *testing.T, repo repository) string {
	t.Helper()
	return git(t, repo, "for-each-ref") + "\n" + git(t, repo, "status", "--porcelain")
}

// wantError reports an error that doesn't have the text. No text stands for no error.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case text == "" && err != nil:
		t.Errorf("got the error %v", err)
	case text != "" && (err == nil || !strings.Contains(err.Error(), text)):
		t.Errorf("got the error %v, want one with %q", err, text)
	}
}
