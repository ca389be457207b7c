package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// repository is the folder of a Git repository with a go.work.
type repository string

// git runs git in the repository, and returns what it prints.
func (r repository) git(args ...string) (string, error) {
	return run(string(r), nil, "git", args...)
}

// file returns the path of a file that is named by its slash-separated path in the repository.
func (r repository) file(name string) string {
	return filepath.Join(string(r), filepath.FromSlash(name))
}

// A workModule is a module of a repository's go.work.
type workModule struct {
	dir string // slash-separated, "." for the root
	mod *modfile.File
}

func (m workModule) path() string { return m.mod.Module.Mod.Path }

// published reports whether the module is one for users.
func (m workModule) published() bool { return m.dir == "." || path.Dir(m.dir) == "adapters" }

// tag returns the tag by which the go command finds a version of the module.
func (m workModule) tag(version string) string {
	return path.Join(m.dir, version)
}

// modules returns the modules of go.work.
func (r repository) modules() ([]workModule, error) {
	data, err := os.ReadFile(r.file("go.work"))
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork("go.work", data, nil)
	if err != nil {
		return nil, err
	}
	var modules []workModule
	for _, use := range work.Use {
		m := workModule{dir: path.Clean(use.Path)}
		name := path.Join(m.dir, "go.mod")
		data, err := os.ReadFile(r.file(name))
		if err != nil {
			return nil, err
		}
		if m.mod, err = modfile.Parse(name, data, nil); err != nil {
			return nil, err
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// published returns the modules of go.work that are for users.
func (r repository) published() ([]workModule, error) {
	modules, err := r.modules()
	if err != nil {
		return nil, err
	}
	var published []workModule
	for _, m := range modules {
		if m.published() {
			published = append(published, m)
		}
	}
	return published, nil
}

// run runs a command in dir with env added to the environment, and returns what it prints. An error has its messages.
func run(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}
