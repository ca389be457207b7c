package main

import (
	"strings"
	"testing"
)

func TestRelease(t *testing.T) {
	repo := newRepository(t, nil)
	origin := repository(t.TempDir())
	git(t, origin, "init", "--quiet", "--bare", "--initial-branch", "main")
	git(t, repo, "remote", "add", "origin", string(origin))

	if err := makeRelease(repo, "v0.1.0", false, ""); err != nil {
		t.Fatal(err)
	}
	head := git(t, repo, "rev-parse", "HEAD")
	for _, tag := range []string{"v0.1.0", "adapters/web/v0.1.0"} {
		if at := git(t, repo, "rev-parse", tag+"^{commit}"); at != head {
			t.Errorf("the tag %s isn't at HEAD", tag)
		}
	}
	for _, name := range []string{"adapters/web/go.mod", "examples/go.mod"} {
		if mod := git(t, repo, "show", "v0.1.0:"+name); !strings.Contains(mod, "lib.test/cache v0.1.0") || strings.Contains(mod, "v0.0.0") {
			t.Errorf("%s requires other versions:\n%s", name, mod)
		}
	}
	if commits := git(t, repo, "rev-list", "--count", "HEAD"); commits != "2" {
		t.Errorf("%s commits, want one more than the first", commits)
	}
	if tags := git(t, repo, "tag", "--list"); strings.Count(tags, "\n") != 1 {
		t.Errorf("other tags than those of the published modules:\n%s", tags)
	}
	if pushed := git(t, origin, "for-each-ref"); pushed != "" {
		t.Errorf("pushed without -push:\n%s", pushed)
	}

	write(t, repo, "CHANGELOG.md", strings.Replace(changelog, "## [0.1.0]", "## [0.1.1] - 2026-01-03\n\n- More.\n\n## [0.1.0]", 1))
	commit(t, repo, "More")
	if err := makeRelease(repo, "v0.1.1", false, "origin"); err != nil {
		t.Fatal(err)
	}
	pushed := git(t, origin, "for-each-ref", "--format", "%(refname)")
	if want := "refs/heads/main\nrefs/tags/adapters/web/v0.1.1\nrefs/tags/v0.1.1"; pushed != want {
		t.Errorf("pushed\n%s\nwant\n%s", pushed, want)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	repo := newRepository(t, nil)
	before := state(t, repo)
	if err := makeRelease(repo, "v0.1.0", true, ""); err != nil {
		t.Fatal(err)
	}
	if after := state(t, repo); after != before {
		t.Errorf("a dry run changed\n%s\nto\n%s", before, after)
	}
}

func TestRefusals(t *testing.T) {
	const section = "## [0.1.0] - 2026-01-02"
	for name, c := range map[string]struct {
		version string
		change  func(t *testing.T, repo repository)
		want    string
	}{
		"change":             {"v0.1.0", func(t *testing.T, r repository) { write(t, r, "core/core.go", "package core\n") }, "aren't committed"},
		"new file":           {"v0.1.0", func(t *testing.T, r repository) { write(t, r, "core/new.go", "package core\n") }, "aren't committed"},
		"tag":                {"v0.1.0", func(t *testing.T, r repository) { git(t, r, "tag", "v0.1.0") }, "the tag v0.1.0 exists"},
		"tag of the adapter": {"v0.1.0", func(t *testing.T, r repository) { git(t, r, "tag", "adapters/web/v0.1.0") }, "the tag adapters/web/v0.1.0 exists"},
		"no branch":          {"v0.1.0", func(t *testing.T, r repository) { git(t, r, "checkout", "--quiet", "--detach") }, "HEAD isn't a branch"},
		"no section":         {"v0.2.0", nil, "no section ## [0.2.0]"},
		"no v":               {"0.1.0", nil, "isn't a version"},
		"short":              {"v0.1", nil, "isn't a version"},
		"other major":        {"v2.0.0", nil, "should be v0 or v1"},
		"empty section":      {"v0.1.0", replaceInChangelog(section, section+"\n\n## [0.0.9] - 2026-01-01"), "no section ## [0.1.0]"},
		"section of another": {"v0.1.0", replaceInChangelog(section, "## [0.1.01] - 2026-01-02"), "no section ## [0.1.0]"},
		"unreleased":         {"v0.1.0", replaceInChangelog("## [Unreleased]", "## [Unreleased]\n\n- New."), "section Unreleased"},
		"breaking patch":     {"v0.1.1", breakingSince("0.1.0", "0.1.1"), "doesn't allow"},
		"breaking v1":        {"v1.1.0", breakingSince("1.0.0", "1.1.0"), "doesn't allow"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := newRepository(t, nil)
			if c.change != nil {
				c.change(t, repo)
			}
			before := state(t, repo)
			wantError(t, makeRelease(repo, c.version, false, ""), c.want)
			if after := state(t, repo); after != before {
				t.Errorf("a refused release changed\n%s\nto\n%s", before, after)
			}
		})
	}
	repo := newRepository(t, nil)
	breakingSince("0.1.0", "0.2.0")(t, repo)
	wantError(t, permitted(repo, "v0.2.0"), "")
}

func replaceInChangelog(old, replacement string) func(*testing.T, repository) {
	return func(t *testing.T, r repository) {
		write(t, r, "CHANGELOG.md", strings.Replace(changelog, old, replacement, 1))
		commit(t, r, "The changelog")
	}
}

// breakingSince tags a version, and commits a changelog in which the next one breaks the API.
func breakingSince(last, next string) func(*testing.T, repository) {
	const first = "## [0.1.0] - 2026-01-02"
	return func(t *testing.T, r repository) {
		git(t, r, "tag", "v"+last)
		replaceInChangelog(first, "## ["+next+"] - 2026-01-03\n\n- **Breaking**: no answer.\n\n## ["+last+"] - 2026-01-02")(t, r)
	}
}
