package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// rehearse releases the version in a clone of the repository's HEAD, and tries each published module out as a user would.
func rehearse(repo repository, version string) (err error) {
	scratch, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	copied := repository(filepath.Join(scratch, "clone"))
	if err := clone(repo, "HEAD", copied); err != nil {
		return err
	}
	tags, err := tagRelease(copied, version)
	if err != nil {
		return err
	}
	if err := checkTidy(copied); err != nil {
		return err
	}
	proxy := filepath.Join(scratch, "proxy")
	if err := writeProxy(copied, version, proxy); err != nil {
		return err
	}
	users, err := newUsers(copied, version, scratch, proxy)
	if err != nil {
		return err
	}
	for i, m := range users.published {
		start := time.Now()
		if err := users.tryOut(m); err != nil {
			return fmt.Errorf("a user of %s %s: %w", m.path(), version, err)
		}
		fmt.Printf("%s: a user who follows the README can use it (%v)\n", tags[i], time.Since(start).Round(time.Second))
	}
	return nil
}

// clone makes to a repository with a branch at a commit of from. The settings of the user who runs this, such as signatures
// and hooks, don't apply to it.
func clone(from repository, commit string, to repository) error {
	source, err := filepath.Abs(string(from))
	if err != nil {
		return err
	}
	if err := os.Mkdir(string(to), 0o755); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"config", "user.name", "release"},
		{"config", "user.email", "release@invalid"},
		{"config", "commit.gpgSign", "false"},
		{"config", "tag.gpgSign", "false"},
		{"config", "core.hooksPath", os.DevNull},
		{"fetch", "--quiet", "--depth", "1", "file://" + filepath.ToSlash(source), commit},
		{"checkout", "--quiet", "-B", "release", "FETCH_HEAD"},
	} {
		if _, err := to.git(args...); err != nil {
			return err
		}
	}
	return nil
}

// checkTidy returns an error unless each module is tidy with the requirements of the release.
func checkTidy(repo repository) error {
	modules, err := repo.modules()
	if err != nil {
		return err
	}
	for _, m := range modules {
		if _, err := run(repo.file(m.dir), []string{"GOWORK=off"}, "go", "mod", "tidy", "-diff"); err != nil {
			return fmt.Errorf("%s isn't tidy after the release: %w", m.path(), err)
		}
	}
	return nil
}
