package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// permitted returns an error with every reason why the version must not be released from the repository as it is.
func permitted(repo repository, version string) error {
	modules, err := repo.published()
	if err != nil {
		return err
	}
	if module.CanonicalVersion(version) != version {
		return fmt.Errorf("%q isn't a version such as v1.2.3", version)
	}
	var reasons []error
	for _, m := range modules {
		if err := module.Check(m.path(), version); err != nil {
			reasons = append(reasons, err)
			continue
		}
		if existing, err := repo.git("tag", "--list", m.tag(version)); err != nil || existing != "" {
			reasons = append(reasons, errors.Join(err, fmt.Errorf("the tag %s exists", m.tag(version))))
		}
	}
	if changes, err := repo.git("status", "--porcelain"); err != nil || changes != "" {
		reasons = append(reasons, errors.Join(err, fmt.Errorf("the repository has changes that aren't committed:\n%s", changes)))
	}
	if _, err := repo.git("symbolic-ref", "--quiet", "HEAD"); err != nil {
		reasons = append(reasons, errors.New("HEAD isn't a branch, so the commit of the release would belong to none"))
	}
	last, err := repo.lastRelease()
	reasons = append(reasons, err)
	changelog, err := os.ReadFile(repo.file("CHANGELOG.md"))
	reasons = append(reasons, err, described(string(changelog), version, last))
	return errors.Join(reasons...)
}

// described returns an error unless a section of the changelog describes the version, nothing else is to be released, and the
// version may have the changes since the last one.
func described(changelog, version, last string) error {
	var reasons []error
	heading := `\[` + regexp.QuoteMeta(strings.TrimPrefix(version, "v")) + `\] - \d{4}-\d\d-\d\d`
	if section(changelog, heading) == "" {
		reasons = append(reasons, fmt.Errorf("CHANGELOG.md has no section ## [%s] - <date> with entries", version[1:]))
	}
	if section(changelog, `\[Unreleased\]`) != "" {
		reasons = append(reasons, errors.New("CHANGELOG.md has entries in its section Unreleased"))
	}
	if last != "" && announces(changelog, last) && (semver.Major(version) != "v0" || semver.MajorMinor(version) == semver.MajorMinor(last)) {
		reasons = append(reasons, fmt.Errorf("CHANGELOG.md has an entry with %s, which %s after %s doesn't allow", breaking, version, last))
	}
	return errors.Join(reasons...)
}

// section returns the text below the heading of the second level that matches the pattern, up to the next such heading.
func section(changelog, heading string) string {
	at := regexp.MustCompile(`(?m)^## ` + heading + `$`).FindStringIndex(changelog)
	if at == nil {
		return ""
	}
	body, _, _ := strings.Cut(changelog[at[1]:], "\n## ")
	return strings.TrimSpace(body)
}

// tagRelease commits the requirements of the version, and tags each published module there. It returns the tags.
//
// One commit has both, the core and the adapters that require it: the replace directives, which users' builds ignore, let
// it build before the tags are published.
func tagRelease(repo repository, version string) (tags []string, err error) {
	modules, err := repo.modules()
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		if err := require(repo, m, modules, version); err != nil {
			return nil, err
		}
	}
	if changes, err := repo.git("status", "--porcelain"); err != nil {
		return nil, err
	} else if changes != "" {
		if _, err := repo.git("commit", "--quiet", "--all", "--message", "Release "+version); err != nil {
			return nil, err
		}
	}
	for _, m := range modules {
		if !m.published() {
			continue
		}
		tag := m.tag(version)
		if _, err := repo.git("tag", "--annotate", "--message", m.path()+" "+version, tag); err != nil {
			return nil, err
		}
		tags = append(tags, tag)
	}
	return tags, nil
}

// require makes m require the version of each of the modules that it requires.
func require(repo repository, m workModule, modules []workModule, version string) error {
	for _, other := range modules {
		for _, r := range m.mod.Require {
			if r.Mod.Path != other.path() {
				continue
			}
			if err := m.mod.AddRequire(other.path(), version); err != nil {
				return err
			}
		}
	}
	data, err := m.mod.Format()
	if err != nil {
		return err
	}
	return os.WriteFile(repo.file(path.Join(m.dir, "go.mod")), data, 0o644)
}
