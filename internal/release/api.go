package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/exp/apidiff"
	"golang.org/x/mod/semver"
	"golang.org/x/tools/go/packages"
)

// breaking is how an entry of CHANGELOG.md says that programs may have to change.
const breaking = "**Breaking**"

// compareAPI prints what programs that use the last release can't compile with any more. It returns an error if there is something
// that no entry of the changelog announces.
func compareAPI(repo repository) (err error) {
	last, err := repo.lastRelease()
	if err != nil {
		return err
	}
	if last == "" {
		fmt.Println("no release yet: there is no API to compare with")
		return nil
	}
	scratch, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	released := repository(filepath.Join(scratch, "clone"))
	if err := clone(repo, "refs/tags/"+last, released); err != nil {
		return err
	}
	changes, err := incompatible(released, repo)
	if err != nil || changes == "" {
		return err
	}
	fmt.Printf("incompatible with %s:\n%s", last, changes)
	return announced(repo, last)
}

// announced returns an error unless an entry of the changelog above the section of the last release announces a breaking change.
func announced(repo repository, last string) error {
	changelog, err := os.ReadFile(repo.file("CHANGELOG.md"))
	if err != nil {
		return err
	}
	if !announces(string(changelog), last) {
		return fmt.Errorf("CHANGELOG.md has no entry with %s since %s", breaking, last)
	}
	return nil
}

func announces(changelog, last string) bool {
	since, _, _ := strings.Cut(changelog, "\n## ["+strings.TrimPrefix(last, "v")+"]")
	return regexp.MustCompile(`(?m)^- ` + regexp.QuoteMeta(breaking)).MatchString(since)
}

// incompatible returns a line for each incompatible change of a published module between two states of the repository.
func incompatible(released, now repository) (string, error) {
	modules, err := released.published()
	if err != nil {
		return "", err
	}
	var changes strings.Builder
	for _, m := range modules {
		before, err := api(released, m)
		if err != nil {
			return "", err
		}
		after, err := api(now, m)
		if err != nil {
			return "", err
		}
		for _, change := range apidiff.ModuleChanges(before, after).Changes {
			if !change.Compatible {
				fmt.Fprintf(&changes, "%s: %s\n", m.path(), change.Message)
			}
		}
	}
	return changes.String(), nil
}

// api returns the packages of a module that other modules may import.
func api(repo repository, m workModule) (*apidiff.Module, error) {
	loaded, err := packages.Load(&packages.Config{
		Mode:       packages.NeedName | packages.NeedTypes | packages.NeedImports | packages.NeedDeps,
		Dir:        repo.file(m.dir),
		Env:        append(os.Environ(), "GOWORK=off"),
		BuildFlags: []string{"-trimpath"}, // so that the results for a clone are found in the build cache
	}, "./...")
	if err != nil {
		return nil, err
	}
	module := &apidiff.Module{Path: m.path()}
	for _, p := range loaded {
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("%s: %w", p.PkgPath, p.Errors[0])
		}
		if p.Name != "main" && !strings.Contains(p.PkgPath+"/", "/internal/") {
			module.Packages = append(module.Packages, p.Types)
		}
	}
	return module, nil
}

// lastRelease returns the latest version of the root in the history of HEAD, or "".
func (r repository) lastRelease() (string, error) {
	out, err := r.git("tag", "--merged", "HEAD", "--list", "v*")
	if err != nil {
		return "", err
	}
	last := ""
	for _, tag := range strings.Fields(out) {
		if semver.IsValid(tag) && (last == "" || semver.Compare(tag, last) > 0) {
			last = tag
		}
	}
	return last, nil
}
