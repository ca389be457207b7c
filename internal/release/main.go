// Release makes a release of the published modules of the repository in the current folder: the one at its root and those in
// adapters. They share one version, so that an adapter always finds the core that it was tested with.
//
//	release [-n] [-push remote] version
//	release -check
//	release -api
//
// A release is a commit in which each go.mod requires the other modules in the new version, and a tag for each published
// module: v1.2.3 for the root, adapters/name/v1.2.3 for an adapter. Release first rehearses: it makes the release in a clone,
// serves the modules from a folder as a module proxy would, and runs for each one a program of a user who follows the README
// in an empty module (testdata/smoke). It installs the commands that the README names, and has each print its help. If all of that
// works, it makes the release in the repository. Nothing is pushed without -push, which pushes the branch and all tags to a remote,
// or none of them.
//
// Release refuses a version that isn't valid, has a tag or has no section in CHANGELOG.md, one that breaks the API and has the
// minor version of the last release, a changelog with entries under Unreleased, and a repository with uncommitted changes or
// without a branch. With -n it rehearses only. With -check it rehearses a version that is never released, from any commit.
//
// With -api it compares the API with that of the last release. Incompatible changes need an entry in CHANGELOG.md that begins
// with **Breaking**.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
)

// throwAway is the version that -check rehearses.
const throwAway = "v0.99.0"

func main() {
	log.SetFlags(0)
	log.SetPrefix("release: ")
	dry := flag.Bool("n", false, "rehearse only")
	remote := flag.String("push", "", "push to this `remote`")
	check := flag.Bool("check", false, "rehearse "+throwAway)
	api := flag.Bool("api", false, "compare the API with that of the last release")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: release [-n] [-push remote] version\n       release -check\n       release -api")
		flag.PrintDefaults()
	}
	flag.Parse()

	var err error
	switch {
	case *check && flag.NFlag() == 1 && flag.NArg() == 0:
		err = rehearse(repository("."), throwAway)
	case *api && flag.NFlag() == 1 && flag.NArg() == 0:
		err = compareAPI(repository("."))
	case !*check && !*api && flag.NArg() == 1:
		err = makeRelease(repository("."), flag.Arg(0), *dry, *remote)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// makeRelease makes the release in the repository after a rehearsal, and pushes it if a remote is given.
func makeRelease(repo repository, version string, dry bool, remote string) error {
	if err := permitted(repo, version); err != nil {
		return err
	}
	if err := rehearse(repo, version); err != nil {
		return err
	}
	if dry {
		return nil
	}
	tags, err := tagRelease(repo, version)
	if err != nil {
		return err
	}
	push := append([]string{"push", "--atomic", cmp.Or(remote, "origin"), "HEAD"}, tags...)
	if remote == "" {
		fmt.Println("nothing is pushed yet: git", strings.Join(push, " "))
		return nil
	}
	_, err = repo.git(push...)
	return err
}
