package main

import (
	"strings"
	"testing"
)

func TestCompareAPI(t *testing.T) {
	const signature = "package core\n\n// Answer returns the answer.\nfunc Answer() int64 { return 42 }\n"
	const entry = "## [Unreleased]\n\n- **Breaking**: the answer is an int64.\n"
	for name, c := range map[string]struct {
		tag     string
		changed map[string]string
		want    string
	}{
		"no release":    {"", map[string]string{"core/core.go": signature}, ""},
		"no change":     {"v0.1.0", nil, ""},
		"addition":      {"v0.1.0", map[string]string{"core/more.go": "package core\n\n// More is more.\nconst More = 1\n"}, ""},
		"internal":      {"v0.1.0", map[string]string{"internal/a/a.go": "package a\n"}, ""},
		"change":        {"v0.1.0", map[string]string{"core/core.go": signature, "adapters/web/web.go": "package web\n\nimport \"lib.test/cache/core\"\n\n// Answer returns the answer.\nfunc Answer() int { return int(core.Answer()) }\n"}, "no entry with **Breaking** since v0.1.0"},
		"of an adapter": {"v0.1.0", map[string]string{"adapters/web/web.go": "package web\n\nimport _ \"lib.test/cache/core\"\n"}, "no entry with **Breaking** since v0.1.0"},
		"announced": {"v0.1.0", map[string]string{"adapters/web/web.go": "package web\n\nimport _ \"lib.test/cache/core\"\n",
			"CHANGELOG.md": strings.Replace(changelog, "## [Unreleased]\n", entry, 1)}, ""},
		"announced before": {"v0.1.0", map[string]string{"adapters/web/web.go": "package web\n\nimport _ \"lib.test/cache/core\"\n",
			"CHANGELOG.md": changelog + "- **Breaking**: an older one.\n"}, "no entry with **Breaking** since v0.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := newRepository(t, nil)
			if c.tag != "" {
				git(t, repo, "tag", c.tag)
			}
			for name, content := range c.changed {
				write(t, repo, name, content)
			}
			commitIfChanged(t, repo)
			wantError(t, compareAPI(repo), c.want)
		})
	}
}

func commitIfChanged(t *testing.T, repo repository) {
	t.Helper()
	if git(t, repo, "status", "--porcelain") != "" {
		commit(t, repo, "A change")
	}
}

// The last release is the highest version in the history of HEAD.
func TestLastRelease(t *testing.T) {
	repo := newRepository(t, nil)
	for _, tag := range []string{"v0.9.0", "v0.10.0", "v0.10.0-rc.1", "vague", "adapters/web/v0.11.0"} {
		git(t, repo, "tag", tag)
	}
	git(t, repo, "checkout", "--quiet", "-b", "other")
	git(t, repo, "commit", "--quiet", "--allow-empty", "--message", "Another branch")
	git(t, repo, "tag", "v0.12.0")
	git(t, repo, "checkout", "--quiet", "main")
	if last, err := repo.lastRelease(); last != "v0.10.0" || err != nil {
		t.Errorf("got %q, %v", last, err)
	}
}
